package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stated/stated/test/harness"
)

// web is a client of HTTP that keeps its connection.
type web struct {
	tb     testing.TB
	client *http.Client
	base   string
	token  string // sent with every request, if there is one
}

// answer is a reply of HTTP.
type answer struct {
	status int
	header http.Header
	body   string
}

// dialWeb gives a client of the daemon's HTTP, over TLS if there is a configuration for it.
func dialWeb(tb testing.TB, addr string, secure *tls.Config) *web {
	tb.Helper()
	w := &web{tb: tb, base: "http://" + addr}
	transport := &http.Transport{TLSClientConfig: secure}
	if secure != nil {
		w.base = "https://" + addr
	}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		w.base = "http://stated"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	}
	w.client = &http.Client{Transport: transport, Timeout: 2 * harness.Patience}
	tb.Cleanup(transport.CloseIdleConnections)
	return w
}

// try sends a request, with headers as names and values in turn.
func (w *web) try(method, path, body string, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if w.token != "" {
		request.Header.Set("Authorization", "Bearer "+w.token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	reply, err := w.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer reply.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(reply.Body)
	return answer{reply.StatusCode, reply.Header, string(text)}, err
}

// do is try for what is answered in any case.
func (w *web) do(method, path, body string, headers ...string) answer {
	w.tb.Helper()
	a, err := w.try(method, path, body, headers...)
	if err != nil {
		w.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// wants sends a request, and expects a status and a text in the body.
func (w *web) wants(status int, text, method, path, body string, headers ...string) answer {
	w.tb.Helper()
	a := w.do(method, path, body, headers...)
	if a.status != status || !strings.Contains(a.body, text) {
		w.tb.Errorf("%s %s: %d %.300s, want %d and %q", method, path, a.status, a.body, status, text)
	}
	return a
}

// code gives the code of a problem; empty when the answer is none.
func (a answer) code() string {
	var problem struct {
		Code string `json:"code"`
	}
	if a.header.Get("Content-Type") != "application/problem+json" || json.Unmarshal([]byte(a.body), &problem) != nil {
		return ""
	}
	return problem.Code
}
