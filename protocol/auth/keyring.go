package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// Bounds of a token and of its name.
const (
	MinSecretBytes = 16
	MaxSecretBytes = 512
	MaxNameBytes   = 64
)

// DefaultName is the user that a client is when it has not said who it is, as in Redis.
const DefaultName = "default"

// Token is a secret and what it allows. The name is for people: logs and CLIENT LIST show it.
type Token struct {
	Name   string
	Secret string
	Role   Role
}

// Keyring holds the tokens that are good now. The zero value has none. All methods may be called by several
// goroutines at once; none blocks.
type Keyring struct{ keys atomic.Pointer[keys] }

type keys struct{ all []key }

type key struct {
	name   string
	role   Role
	digest [sha256.Size]byte
}

// Grant is what a client may do. The zero value allows nothing. It is good until the keyring has other tokens, see
// [Keyring.Renew].
type Grant struct {
	Name string
	Role Role

	of      *keys
	digest  [sha256.Size]byte
	byToken bool
}

// Allows reports whether the grant is enough for what needs a role.
func (g Grant) Allows(needed Role) bool { return g.Role >= needed }

// New makes a keyring of these tokens. It returns an error that names what is wrong with one, but no secret.
func New(tokens ...Token) (*Keyring, error) {
	k := &Keyring{}
	return k, k.Replace(tokens...)
}

// Replace has the keyring hold these tokens and no others. When one of them is wrong it changes nothing, and
// returns an error that names the token, but no secret.
func (k *Keyring) Replace(tokens ...Token) error {
	fresh := &keys{all: make([]key, 0, len(tokens))}
	for _, t := range tokens {
		added := key{name: t.Name, role: t.Role, digest: sha256.Sum256([]byte(t.Secret))}
		if err := fresh.check(t, added); err != nil {
			return err
		}
		fresh.all = append(fresh.all, added)
	}
	k.keys.Store(fresh)
	return nil
}

func (ks *keys) check(t Token, added key) error {
	if err := CheckName(t.Name); err != nil {
		return err
	}
	if t.Role < RoleRead || t.Role > RoleAdmin {
		return fmt.Errorf("token %q has no role", t.Name)
	}
	if err := checkSecret(t.Secret); err != nil {
		return fmt.Errorf("token %q %w", t.Name, err)
	}
	for _, other := range ks.all {
		switch {
		case other.name == added.name:
			return fmt.Errorf("there are two tokens named %q", t.Name)
		case other.digest == added.digest:
			return fmt.Errorf("tokens %q and %q are the same", other.name, t.Name)
		}
	}
	return nil
}

// CheckName returns an error unless name can name a token: 1 to [MaxNameBytes] letters, digits, dots, dashes and
// underscores.
func CheckName(name string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if name == "" || len(name) > MaxNameBytes || strings.Trim(name, allowed) != "" {
		return fmt.Errorf("%.80q cannot name a token: want 1 to %d letters, digits, dots, dashes or underscores", name, MaxNameBytes)
	}
	return nil
}

// checkSecret allows what fits into a header of HTTP.
func checkSecret(secret string) error {
	if n := len(secret); n < MinSecretBytes || n > MaxSecretBytes {
		return fmt.Errorf("has %d bytes: want %d to %d; `openssl rand -hex 32` makes a good one", n, MinSecretBytes, MaxSecretBytes)
	}
	for i := range len(secret) {
		if secret[i] <= ' ' || secret[i] > '~' {
			return fmt.Errorf("has a blank or special character at byte %d: want printable ASCII", i)
		}
	}
	return nil
}

// Required reports whether a client needs a token.
func (k *Keyring) Required() bool { return len(k.now().all) > 0 }

// Anonymous is the grant of a client without a token: everything while there are no tokens, else nothing.
func (k *Keyring) Anonymous() Grant {
	now := k.now()
	g := Grant{Name: DefaultName, of: now}
	if len(now.all) == 0 {
		g.Role = RoleAdmin
	}
	return g
}

// Check gives what a token allows. A name that is given has to be the token's own; the empty one and
// [DefaultName] stand for any. When the token is not good, ok is false.
func (k *Keyring) Check(name, secret string) (g Grant, ok bool) {
	return k.now().find(name, sha256.Sum256([]byte(secret)))
}

// find compares with every key, whatever it has found.
func (ks *keys) find(name string, digest [sha256.Size]byte) (g Grant, ok bool) {
	for i := range ks.all {
		key := &ks.all[i]
		same := subtle.ConstantTimeCompare(key.digest[:], digest[:]) == 1
		if same && (name == "" || name == DefaultName || name == key.name) {
			g, ok = Grant{Name: key.name, Role: key.role, of: ks, digest: digest, byToken: true}, true
		}
	}
	return g, ok
}

// Knows reports whether there is a token of this name.
func (k *Keyring) Knows(name string) bool {
	return slices.ContainsFunc(k.now().all, func(key key) bool { return key.name == name })
}

// Renew gives what a client that has a grant may do now. When its token is no longer there, ok is false.
func (k *Keyring) Renew(g Grant) (now Grant, ok bool) {
	keys := k.now()
	switch {
	case g.of == keys:
		return g, true
	case g.byToken:
		return keys.find(g.Name, g.digest)
	default:
		now = k.Anonymous()
		return now, now.Role != RoleNone
	}
}

var none = &keys{}

func (k *Keyring) now() *keys {
	if now := k.keys.Load(); now != nil {
		return now
	}
	return none
}
