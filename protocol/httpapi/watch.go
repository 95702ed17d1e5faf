package httpapi

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// The routes for those who look after the daemon.

const textType = "text/plain; charset=utf-8"

func (x *exchange) livez() error {
	if err := x.s.opts.Alive(); err != nil {
		return x.reply(http.StatusServiceUnavailable, textType, []byte(err.Error()+"\n"))
	}
	return x.reply(http.StatusOK, textType, []byte("ok\n"))
}

// readyz tells everybody which checks fail, and why only those who may read: reasons name files.
func (x *exchange) readyz() error {
	_, verbose := x.query["verbose"]
	if verbose {
		if err := x.authenticate(&route{role: auth.RoleRead}); err != nil {
			return err
		}
	}
	checks := slices.Concat(x.s.opts.Ready(), []Check{{Name: "stopping"}})
	if x.s.stopping.Load() {
		checks[len(checks)-1].Err = protocol.Errorf(protocol.CodeUnavailable, "the daemon is stopping")
	}
	var failed []string
	var text strings.Builder
	for _, c := range checks {
		if c.Err == nil {
			fmt.Fprintf(&text, "[+] %s: ok\n", c.Name)
			continue
		}
		failed = append(failed, c.Name)
		fmt.Fprintf(&text, "[-] %s: %v\n", c.Name, c.Err)
	}
	code, summary := http.StatusOK, "ok\n"
	if len(failed) > 0 {
		code, summary = http.StatusServiceUnavailable, "not ready: "+strings.Join(failed, ", ")+"\n"
	}
	if verbose {
		summary = text.String() + summary
	}
	return x.reply(code, textType, []byte(summary))
}

func (x *exchange) info() error {
	op, err := protocol.Count("")
	reply, err := x.do(op, err)
	if err != nil {
		return err
	}
	all := map[string]any{}
	maps.Copy(all, x.s.opts.Info())
	all["version"], all["agents"] = x.s.opts.Version, reply.Count
	return x.replyJSON(http.StatusOK, all)
}

func (x *exchange) metrics() error {
	if x.s.opts.Metrics == nil {
		return status{http.StatusNotFound, protocol.Errorf(protocol.CodeInvalid, "there are no metrics")}
	}
	x.replied = true
	x.allowWriting()
	x.s.opts.Metrics.ServeHTTP(x.w, x.r)
	return nil
}

//go:embed openapi.yaml
var openAPI []byte

func (x *exchange) openapi() error { return x.reply(http.StatusOK, "application/yaml", openAPI) }
