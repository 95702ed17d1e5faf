package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stated/stated/protocol/auth"
)

const (
	readerSecret = "reader-0123456789abcdef"
	writerSecret = "writer-0123456789abcdef"
)

func mustKeyring(tb testing.TB, tokens ...auth.Token) *auth.Keyring {
	tb.Helper()
	k, err := auth.New(tokens...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func reader() auth.Token {
	return auth.Token{Name: "reader", Secret: readerSecret, Role: auth.RoleRead}
}
func writer() auth.Token {
	return auth.Token{Name: "writer", Secret: writerSecret, Role: auth.RoleWrite}
}

func TestParseRole(t *testing.T) {
	for name, want := range map[string]auth.Role{"read": auth.RoleRead, "write": auth.RoleWrite, "admin": auth.RoleAdmin} {
		if got, ok := auth.ParseRole(name); got != want || !ok || got.String() != name {
			t.Errorf("ParseRole(%q) = %v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "none", "Read", "root"} {
		if got, ok := auth.ParseRole(name); ok || got != auth.RoleNone {
			t.Errorf("ParseRole(%q) = %v, %v", name, got, ok)
		}
	}
}

func TestGrant_Allows(t *testing.T) {
	for have := auth.RoleNone; have <= auth.RoleAdmin; have++ {
		for needed := auth.RoleNone; needed <= auth.RoleAdmin; needed++ {
			if got := (auth.Grant{Role: have}).Allows(needed); got != (have >= needed) {
				t.Errorf("%v allows what needs %v: %v", have, needed, got)
			}
		}
	}
}

func TestKeyring_WithoutTokens(t *testing.T) {
	for name, k := range map[string]*auth.Keyring{"zero value": {}, "no tokens": mustKeyring(t)} {
		if g := k.Anonymous(); k.Required() || g.Role != auth.RoleAdmin || g.Name != auth.DefaultName {
			t.Errorf("%s: required %v, anonymous %+v", name, k.Required(), g)
		}
		if _, ok := k.Check("", ""); ok {
			t.Errorf("%s: the empty token is good", name)
		}
	}
}

func TestKeyring_Check(t *testing.T) {
	k := mustKeyring(t, reader(), writer())
	if !k.Required() || k.Anonymous().Role != auth.RoleNone {
		t.Errorf("required %v, anonymous %+v", k.Required(), k.Anonymous())
	}
	for _, tc := range []struct {
		name, secret string
		want         string // name and role; empty = refused
	}{
		{"", readerSecret, "reader read"},
		{"default", readerSecret, "reader read"},
		{"reader", readerSecret, "reader read"},
		{"", writerSecret, "writer write"},
		{"writer", readerSecret, ""},
		{"nobody", readerSecret, ""},
		{"", "", ""},
		{"", readerSecret + "x", ""},
		{"", readerSecret[:len(readerSecret)-1], ""},
		{"reader", "", ""},
	} {
		g, ok := k.Check(tc.name, tc.secret)
		got := ""
		if ok {
			got = fmt.Sprintf("%s %v", g.Name, g.Role)
		}
		if got != tc.want || !ok && g.Role != auth.RoleNone {
			t.Errorf("Check(%q, %q) = %+v, %v; want %q", tc.name, tc.secret, g, ok, tc.want)
		}
	}
}

func TestKeyring_Knows(t *testing.T) {
	k := mustKeyring(t, reader())
	for name, want := range map[string]bool{"reader": true, "default": false, "": false, "Reader": false, readerSecret: false} {
		if got := k.Knows(name); got != want {
			t.Errorf("Knows(%q) = %v", name, got)
		}
	}
}

func TestKeyring_Renew(t *testing.T) {
	k := mustKeyring(t, reader(), writer())
	r, _ := k.Check("", readerSecret)
	w, _ := k.Check("", writerSecret)
	if now, ok := k.Renew(r); !ok || now != r {
		t.Errorf("renewed with nothing changed: %+v, %v", now, ok)
	}
	promoted := reader()
	promoted.Role = auth.RoleAdmin
	if err := k.Replace(promoted); err != nil {
		t.Fatal(err)
	}
	if now, ok := k.Renew(r); !ok || now.Role != auth.RoleAdmin {
		t.Errorf("the reader, promoted: %+v, %v", now, ok)
	}
	if now, ok := k.Renew(w); ok || now.Role != auth.RoleNone {
		t.Errorf("the writer, removed: %+v, %v", now, ok)
	}
	other := reader()
	other.Secret = writerSecret
	if err := k.Replace(other); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Renew(w); ok {
		t.Error("the writer's secret under another name renews the writer's grant")
	}
}

func TestKeyring_RenewAnonymous(t *testing.T) {
	k := mustKeyring(t)
	g := k.Anonymous()
	if err := k.Replace(reader()); err != nil {
		t.Fatal(err)
	}
	if now, ok := k.Renew(g); ok || now.Role != auth.RoleNone {
		t.Errorf("with tokens: %+v, %v", now, ok)
	}
	if err := k.Replace(); err != nil {
		t.Fatal(err)
	}
	if now, ok := k.Renew(g); !ok || now.Role != auth.RoleAdmin {
		t.Errorf("without tokens again: %+v, %v", now, ok)
	}
	if now, ok := k.Renew(auth.Grant{}); !ok || now.Role != auth.RoleAdmin {
		t.Errorf("the zero grant: %+v, %v", now, ok)
	}
}

func TestKeyring_BadTokens(t *testing.T) {
	with := func(change func(*auth.Token)) auth.Token {
		token := reader()
		change(&token)
		return token
	}
	for want, tokens := range map[string][]auth.Token{
		`"" cannot name a token`:                    {with(func(t *auth.Token) { t.Name = "" })},
		`"a b" cannot name a token`:                 {with(func(t *auth.Token) { t.Name = "a b" })},
		`cannot name a token: want 1 to 64`:         {with(func(t *auth.Token) { t.Name = strings.Repeat("n", 65) })},
		`token "reader" has no role`:                {with(func(t *auth.Token) { t.Role = auth.RoleNone })},
		`token "reader" has 15 bytes: want 16`:      {with(func(t *auth.Token) { t.Secret = readerSecret[:15] })},
		`token "reader" has 513 bytes`:              {with(func(t *auth.Token) { t.Secret = strings.Repeat("s", 513) })},
		`special character at byte 23`:              {with(func(t *auth.Token) { t.Secret += "\n" })},
		`special character at byte 0`:               {with(func(t *auth.Token) { t.Secret = "ä" + readerSecret })},
		`two tokens named "reader"`:                 {reader(), with(func(t *auth.Token) { t.Secret = writerSecret })},
		`tokens "writer" and "reader" are the same`: {writer(), with(func(t *auth.Token) { t.Secret = writerSecret })},
	} {
		k := mustKeyring(t, writer())
		err := k.Replace(tokens...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Replace: %v, want %q", err, want)
			continue
		}
		for _, token := range tokens {
			if token.Secret != "" && strings.Contains(err.Error(), token.Secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
		}
		if _, ok := k.Check("", writerSecret); !ok {
			t.Errorf("%s: the token from before is gone", want)
		}
	}
}
