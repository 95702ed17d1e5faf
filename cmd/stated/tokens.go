package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol/auth"
)

// maxTokenFile is far more than a token can have, and little enough to read by mistake.
const maxTokenFile = 4 << 10

// readToken reads the secret that a file holds. Blanks and line breaks around it do not count.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return "", err
	}
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return "", fmt.Errorf("%s is empty: it has to hold a token", path)
	case len(data) > auth.MaxSecretBytes:
		return "", fmt.Errorf("%s holds more than the %d bytes of a token", path, auth.MaxSecretBytes)
	}
	return string(data), nil
}

// readTokens gives the tokens of the configuration, with the secrets that are in files.
func readTokens(c config.Auth) ([]auth.Token, error) {
	tokens := make([]auth.Token, 0, len(c.Tokens))
	for _, t := range c.Tokens {
		role, _ := auth.ParseRole(t.Role) // the configuration was validated
		secret := t.Secret
		if t.File != "" {
			var err error
			if secret, err = readToken(t.File); err != nil {
				return nil, usagef("auth.tokens: token %q: %w", t.Name, err)
			}
		}
		tokens = append(tokens, auth.Token{Name: t.Name, Secret: secret, Role: role})
	}
	return tokens, nil
}

// newKeyring makes the keyring of the configuration's tokens.
func newKeyring(c config.Auth) (*auth.Keyring, error) {
	tokens, err := readTokens(c)
	if err != nil {
		return nil, err
	}
	keyring, err := auth.New(tokens...)
	if err != nil {
		return nil, usagef("auth.tokens: %w", err)
	}
	return keyring, nil
}
