// Package linear shows that the store behaves as if every operation happened at one moment between its call and its
// reply: clients do what they like at the same time, through the library and through daemons, and a checker (porcupine)
// looks for an order that explains what they were told, although daemons are killed and locks are held.
package linear

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/stated/stated/test/harness"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		harness.Cleanup()
		os.Exit(code)
	}))
}
