package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// No error of this file quotes a value that could be a secret, also where it is in the wrong place.

var errTokens = errors.New("is not a list of tokens: want [{name: …, token_file: …, role: read}], or an empty list")

// parseTokens takes YAML from the environment or a flag. The empty text is the empty list.
func parseTokens(v any) ([]Token, error) {
	text, ok := v.(string)
	if !ok {
		return nil, errors.New("has no value: give one, or remove the key to have its default")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, errTokens
	}
	if len(doc.Content) == 0 {
		return []Token{}, nil
	}
	return decodeTokens(resolve(doc.Content[0]))
}

func decodeTokens(node *yaml.Node) ([]Token, error) {
	if node.Kind == yaml.ScalarNode && node.Value == "" {
		return []Token{}, nil
	}
	if node.Kind != yaml.SequenceNode {
		return nil, errTokens
	}
	tokens := make([]Token, len(node.Content))
	var wrong []string
	for i, item := range node.Content {
		if err := tokens[i].decode(resolve(item)); err != nil {
			wrong = append(wrong, fmt.Sprintf("token %d %v", i+1, err))
		}
	}
	if wrong != nil {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return tokens, nil
}

// decode reads one token. It wants every key at most once, and texts.
func (t *Token) decode(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return errors.New("has no keys: want name, role, and token_file or token")
	}
	parts := map[string]*string{"name": &t.Name, "token": &t.Secret, "token_file": &t.File, "role": &t.Role}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := resolve(node.Content[i]).Value, resolve(node.Content[i+1])
		part := parts[key]
		switch {
		case part == nil:
			return errors.New("has a key that does not exist, or one twice: want name, role, and token_file or token")
		case value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str":
			return fmt.Errorf("has a %s that is not a text: put it in quotes if it is what you mean", key)
		case value.Value == "":
			return fmt.Errorf("has an empty %s", key)
		}
		*part = value.Value
		delete(parts, key)
	}
	return t.complete()
}

func (t *Token) complete() error {
	switch {
	case t.Name == "":
		return errors.New("has no name")
	case t.Secret != "" && t.File != "":
		return fmt.Errorf("(%.80q) has token and token_file: want one of them", t.Name)
	case t.Secret == "" && t.File == "":
		return fmt.Errorf("(%.80q) has neither token_file nor token", t.Name)
	case strings.ContainsRune(t.File, 0) || !utf8.ValidString(t.File):
		return fmt.Errorf("(%.80q) has a token_file that cannot be a path", t.Name)
	}
	if !slices.Contains([]string{"read", "write", "admin"}, t.Role) {
		return fmt.Errorf("(%.80q) has no role, or one that does not exist: want read, write or admin", t.Name)
	}
	return nil
}

// refuseSecrets keeps secrets off the command line, which other users of the machine can read.
func refuseSecrets(tokens []Token) error {
	for _, t := range tokens {
		if t.Secret != "" {
			return fmt.Errorf("token %q is on the command line, where others can read it: use token_file, the environment, or a file", t.Name)
		}
	}
	return nil
}

func showTokens(tokens []Token) []string {
	texts := make([]string, len(tokens))
	for i, t := range tokens {
		from := "token: (hidden)"
		if t.File != "" {
			from = "token_file: " + t.File
		}
		texts[i] = fmt.Sprintf("{name: %s, role: %s, %s}", t.Name, t.Role, from)
	}
	return texts
}

var tokenName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// validateAuth looks at what the tokens are to each other. Their secrets are looked at where they are read.
func (l *loader) validateAuth(a Auth) {
	const key = "auth.tokens"
	for i, t := range a.Tokens {
		if !tokenName.MatchString(t.Name) {
			l.refuse(key, "%.80q cannot name a token: want 1 to 64 letters, digits, dots, dashes or underscores", t.Name)
		}
		if slices.ContainsFunc(a.Tokens[:i], func(other Token) bool { return other.Name == t.Name }) {
			l.refuse(key, "there are two tokens named %q", t.Name)
		}
	}
}

func (l *loader) validateTLS(t TLS) {
	if t.Cert != "" && t.Key == "" {
		l.clash("server.tls.key", "is empty, and server.tls.cert is not: want both or neither")
	}
	if t.Key != "" && t.Cert == "" {
		l.clash("server.tls.cert", "is empty, and server.tls.key is not: want both or neither")
	}
	for key, path := range map[string]string{"server.tls.cert": t.Cert, "server.tls.key": t.Key} {
		if strings.ContainsRune(path, 0) {
			l.refuse(key, "%q contains a zero byte", path)
		}
	}
}
