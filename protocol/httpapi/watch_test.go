package httpapi_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stated/stated/protocol/httpapi"
	"github.com/stated/stated/protocol/protocoltest"
)

func TestProbes(t *testing.T) {
	var sick atomic.Bool
	when := func(text string) error {
		if sick.Load() {
			return errors.New(text)
		}
		return nil
	}
	s := serve(t, protocoltest.New(), httpapi.Options{
		Alive: func() error { return when("the writer hangs") }, Tokens: tokens(t),
		Ready: func() []httpapi.Check {
			return []httpapi.Check{{Name: "store", Err: when("disk of /secret/place is full")}, {Name: "mailbox"}}
		},
	})
	reader := []string{"Authorization", "Bearer " + readerSecret}
	s.want(s.ask("GET", "/livez", ""), 200, "ok\n")
	s.want(s.ask("GET", "/healthz", ""), 200, "ok\n")
	s.want(s.ask("GET", "/readyz", ""), 200, "ok\n")
	s.want(s.ask("GET", "/readyz?verbose", ""), 401, "token")
	s.want(s.ask("GET", "/readyz?verbose", "", reader...), 200, "[+] store: ok\n[+] mailbox: ok\n[+] stopping: ok\nok\n")
	sick.Store(true)
	s.want(s.ask("GET", "/livez", ""), 503, "the writer hangs\n")
	if a := s.ask("GET", "/readyz", ""); a.status != 503 || a.body != "not ready: store\n" {
		t.Errorf("%d %q", a.status, a.body)
	}
	s.want(s.ask("GET", "/readyz?verbose", "", reader...), 503, "[-] store: disk of /secret/place is full\n[+] mailbox: ok\n")
}

func TestInfoAndMetrics(t *testing.T) {
	m := protocoltest.New()
	m.Put("a", "1")
	s := serve(t, m, httpapi.Options{
		Version: "1.2.3", Info: func() map[string]any { return map[string]any{"store_id": "X"} },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metric 1\n")) }),
	})
	s.want(s.ask("GET", "/v1/info", ""), 200, `{"agents":1,"store_id":"X","version":"1.2.3"}`)
	s.want(s.ask("GET", "/metrics", ""), 200, "metric 1\n")
	s.want(serve(t, m, httpapi.Options{}).ask("GET", "/metrics", ""), 404, "no metrics")
}
