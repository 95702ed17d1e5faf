package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stated/stated/test/harness"
)

// startTLS runs a daemon with a certificate, which is in dir.
func startTLS(t *testing.T, dir string, authority *harness.Authority, args ...string) (*harness.Daemon, harness.Certificate) {
	t.Helper()
	pair := authority.Issue(t, dir)
	args = append([]string{"--set", "server.tls.cert=" + pair.Cert, "--set", "server.tls.key=" + pair.Key}, args...)
	return harness.Start(t, harness.File(t), args...), pair
}

// dialRawTLS is dialRaw over TLS.
func dialRawTLS(t *testing.T, addr string, config *tls.Config) (*rawConn, *tls.Conn) {
	t.Helper()
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: harness.Patience}, "tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() }) // it may be closed already
	if err := nc.SetDeadline(time.Now().Add(2 * harness.Patience)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{tb: t, nc: nc, r: bufio.NewReader(nc)}, nc
}

// TestTLS speaks TLS on both TCP listeners, and not on sockets of the file system.
func TestTLS(t *testing.T) {
	dir := shortDir(t)
	authority := harness.NewAuthority(t)
	d, _ := startTLS(t, dir, authority,
		"--redis", "127.0.0.1:0,unix:"+filepath.Join(dir, "redis"), "--http", "127.0.0.1:0,unix:"+filepath.Join(dir, "http"))
	c, _ := dialRawTLS(t, d.Addr, authority.Trust())
	wantReply(t, c.do("SET", "a", "1"), "OK")
	dialWeb(t, d.HTTP, authority.Trust()).wants(http.StatusOK, "1", "GET", "/v1/agents/a", "", "Origin", "https://"+d.HTTP)
	wantReply(t, dialRaw(t, "unix:"+filepath.Join(dir, "redis")).do("GET", "a"), "1")
	dialWeb(t, "unix:"+filepath.Join(dir, "http"), nil).wants(http.StatusOK, "1", "GET", "/v1/agents/a", "")

	for name, addr := range map[string]string{"redis": d.Addr, "http": d.HTTP} {
		old := authority.Trust()
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		if nc, err := tls.Dial("tcp", addr, old); err == nil {
			t.Errorf("%s: TLS %x is accepted", name, nc.ConnectionState().Version)
			_ = nc.Close() // it was not wanted
		}
		stranger := harness.NewAuthority(t).Trust()
		if nc, err := tls.Dial("tcp", addr, stranger); err == nil {
			t.Errorf("%s: the certificate is trusted by whoever does not know its authority", name)
			_ = nc.Close() // it was not wanted
		}
	}
	plain := dialRaw(t, d.Addr)
	plain.send("GET", "a")
	if reply, err := plain.read(); err == nil {
		t.Errorf("without TLS the daemon answers %v", reply)
	}
	if a, err := dialWeb(t, d.HTTP, nil).try("GET", "/v1/agents/a", ""); err == nil && a.status == http.StatusOK {
		t.Errorf("without TLS the daemon answers %v", a)
	}
	wantReply(t, c.do("GET", "a"), "1")
}

// TestTLS_Renewed shows the new certificate to new connections, and leaves the old ones alone.
func TestTLS_Renewed(t *testing.T) {
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	d, first := startTLS(t, dir, authority)
	serial := func(nc *tls.Conn) string { return nc.ConnectionState().PeerCertificates[0].SerialNumber.String() }
	old, nc := dialRawTLS(t, d.Addr, authority.Trust())
	if got := serial(nc); got != first.Serial.String() {
		t.Errorf("the daemon shows certificate %s, want %s", got, first.Serial)
	}
	second := authority.Issue(t, dir)
	s := &secured{Daemon: d, dir: dir}
	s.mustReload(t)
	for _, addr := range []string{d.Addr, d.HTTP} {
		_, nc := dialRawTLS(t, addr, authority.Trust())
		if got := serial(nc); got != second.Serial.String() {
			t.Errorf("after the reload the daemon shows certificate %s, want %s", got, second.Serial)
		}
	}
	wantReply(t, old.do("PING"), "PONG")

	if err := os.WriteFile(first.Cert, []byte("cut short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if e := s.reload(t); !e.Is("error", "not reloaded") {
		t.Errorf("a broken certificate is taken over: %v", e)
	}
	_, nc = dialRawTLS(t, d.Addr, authority.Trust())
	if got := serial(nc); got != second.Serial.String() {
		t.Errorf("beside a broken file the daemon shows certificate %s, want %s", got, second.Serial)
	}
}

// TestTLS_BadFiles refuses to start, and says which key of the configuration is meant.
func TestTLS_BadFiles(t *testing.T) {
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	pair, other := authority.Issue(t, dir), authority.Issue(t, t.TempDir())
	text := filepath.Join(dir, "text")
	writeFile(t, text, "text")
	for name, files := range map[string][2]string{
		"no key":             {pair.Cert, ""},
		"no certificate":     {"", pair.Key},
		"a missing file":     {pair.Cert + ".old", pair.Key},
		"no PEM":             {text, pair.Key},
		"another's key":      {pair.Cert, other.Key},
		"the wrong way":      {pair.Key, pair.Cert},
		"the key is no PEM":  {pair.Cert, text},
		"the key is missing": {pair.Cert, pair.Key + ".old"},
	} {
		t.Run(name, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "agents.db")
			r := harness.CLI(t, "serve", "--db", db, "--redis", "127.0.0.1:0",
				"--set", fmt.Sprintf("server.tls.cert=%s", files[0]), "--set", fmt.Sprintf("server.tls.key=%s", files[1]))
			if r.Code != 2 {
				t.Errorf("exit code %d", r.Code)
			}
			wantText(t, r.Stderr, "stated: ", "server.tls")
			if _, err := os.Stat(db); err == nil {
				t.Error("a file was made all the same")
			}
		})
	}
}
