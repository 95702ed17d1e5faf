package damage

import (
	"os/exec"
	"regexp"
	"testing"
)

var advice = regexp.MustCompile(`truncate .* && rm .*-shm'`)

// followAdvice runs the commands that a message names.
func followAdvice(tb testing.TB, message string) {
	tb.Helper()
	command := advice.FindString(message)
	if command == "" {
		tb.Fatalf("it gives no advice: %s", message)
	}
	if out, err := exec.CommandContext(guarded(tb), "sh", "-c", command).CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", command, err, out)
	}
}
