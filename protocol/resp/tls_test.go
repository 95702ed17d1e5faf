package resp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

// certificate makes a certificate for 127.0.0.1 that nobody signed, and the settings of both ends.
func certificate(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	return server, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// serveTLS starts a server with TLS and tokens, and gives the settings of its clients.
func serveTLS(tb testing.TB, o resp.Options) (addr string, client *tls.Config) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server, client := certificate(tb)
	serveOn(tb, tls.NewListener(l, server), protocoltest.New(), o)
	return l.Addr().String(), client
}

func TestGoRedis_TLS(t *testing.T) {
	addr, settings := serveTLS(t, resp.Options{Tokens: keyring(t)})
	connect := func(proto int, user, password string) *redis.Client {
		c := redis.NewClient(&redis.Options{
			Addr: addr, Protocol: proto, TLSConfig: settings, Username: user, Password: password, MaxRetries: -1,
		})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	ctx := t.Context()
	for _, proto := range []int{2, 3} {
		for _, user := range []string{"", "writer"} {
			c := connect(proto, user, secret("writer"))
			if err := c.Set(ctx, "a", `{"x":1}`, 0).Err(); err != nil {
				t.Errorf("RESP%d as %q: Set: %v", proto, user, err)
			}
			if got, err := c.Get(ctx, "a").Result(); got != `{"x":1}` || err != nil {
				t.Errorf("RESP%d as %q: Get: %q, %v", proto, user, got, err)
			}
			if err := c.FlushAll(ctx).Err(); err == nil || err.Error() != "NOPERM User writer has no permissions to run the 'flushall' command" {
				t.Errorf("RESP%d as %q: FlushAll: %v", proto, user, err)
			}
		}
		for _, account := range [][2]string{{"", "wrong"}, {"reader", secret("writer")}, {"nobody", secret("writer")}} {
			err := connect(proto, account[0], account[1]).Get(ctx, "a").Err()
			if err == nil || !strings.HasPrefix(err.Error(), "WRONGPASS ") {
				t.Errorf("RESP%d as %q with a wrong password: %v", proto, account[0], err)
			}
		}
		if err := connect(proto, "", "").Get(ctx, "a").Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH ") {
			t.Errorf("RESP%d without a password: %v", proto, err)
		}
	}
}

func TestClient_TLS(t *testing.T) {
	addr, settings := serveTLS(t, resp.Options{Tokens: keyring(t)})
	c := dial(t, addr, resp.ClientOptions{TLS: settings, Token: secret("writer"), Name: "me"})
	if _, err := c.Save(t.Context(), "a", []byte("1")); err != nil {
		t.Error(err)
	}
	if r, err := c.Load(t.Context(), "a"); string(r.State) != "1" || err != nil {
		t.Errorf("Load: %q, %v", r.State, err)
	}
	if settings.ServerName != "" {
		t.Error("the caller's settings were changed")
	}
	named := settings.Clone()
	named.ServerName = "elsewhere"
	for name, o := range map[string]resp.ClientOptions{
		"plain": {Token: secret("writer")}, "a certificate of nobody": {TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Token: secret("writer")},
		"another name": {TLS: named, Token: secret("writer")},
	} {
		o.DialTimeout = guard
		if _, err := resp.Dial(t.Context(), addr, o); !errors.Is(err, protocol.CodeUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClient_token(t *testing.T) {
	tokens := keyring(t)
	_, addr := serve(t, protocoltest.New(), resp.Options{Tokens: tokens})
	for name, o := range map[string]resp.ClientOptions{
		"none": {}, "wrong": {Token: "wrong-0123456789abcdef"}, "wrong, with name": {Token: "wrong-0123456789abcdef", Name: "me"},
	} {
		_, err := resp.Dial(t.Context(), addr, o)
		if !errors.Is(err, protocol.CodeUnauthenticated) || strings.Contains(err.Error(), "wrong-") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := dial(t, addr, resp.ClientOptions{Token: secret("reader"), Name: "me"})
	if _, err := c.Count(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if _, err := c.Save(t.Context(), "a", []byte("1")); !errors.Is(err, protocol.CodeForbidden) {
		t.Errorf("Save: %v", err)
	}
	check, err := protocol.Check("a", protocol.IfAbsent())
	if err != nil {
		t.Fatal(err)
	}
	save, err := protocol.Save("a", []byte("1"), protocol.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Txn(t.Context(), check, save); !errors.Is(err, protocol.CodeForbidden) {
		t.Errorf("Txn: %v", err)
	}
	if err := tokens.Replace(token("admin", 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Count(t.Context(), ""); !errors.Is(err, protocol.CodeUnauthenticated) {
		t.Errorf("without its token: %v", err)
	}
}

// Another server may quote what it does not understand; its words do not get into an error, nor into a log then.
func TestClient_quotedToken(t *testing.T) {
	const theToken = "hush-0123456789abcdef"
	for _, line := range []string{
		"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `" + theToken + "`, \r\n",
		"-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' '" + theToken[:5] + "\r\n",
	} {
		toServer := func(context.Context, string, string) (net.Conn, error) {
			server, client := net.Pipe()
			go func() {
				_, _ = io.ReadFull(server, make([]byte, len(bulks("HELLO", "3", "AUTH", "default", theToken))))
				_, _ = server.Write([]byte(line))
			}()
			return client, nil
		}
		_, err := resp.Dial(t.Context(), "old:1", resp.ClientOptions{Token: theToken, Dialer: toServer})
		if !errors.Is(err, protocol.CodeInvalid) || strings.Contains(fmt.Sprintf("%v %+v", err, err), "hush") {
			t.Errorf("%q: %v", line, err)
		}
	}
}
