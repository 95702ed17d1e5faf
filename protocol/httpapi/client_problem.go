package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/stated/stated/protocol"
)

// refused is the error of a request whose answer is no success.
func (c *Client) refused(e *outgoing, got *answer) error {
	if got.isProblem() {
		if problem, ok := parseProblem(got.body); ok {
			return problem
		}
	}
	return c.nonsense(e, got)
}

// nonsense is the error of an answer that no server of ours gives: of a proxy in between, or of another program.
func (c *Client) nonsense(e *outgoing, got *answer) error {
	const what = "%s answered %s %s with %s, which is no reply of stated"
	switch {
	case !e.writes:
		return protocol.Errorf(protocol.CodeInternal, what, c.base, e.method, e.path, got.describe())
	case refusedUnseen(got.status):
		return protocol.Errorf(protocol.CodeInternal, what+": it was not applied", c.base, e.method, e.path, got.describe())
	default:
		return protocol.Errorf(protocol.CodeUnknown, what+": it may or may not have been applied", c.base, e.method, e.path, got.describe())
	}
}

// refusedUnseen reports whether a status says that the request was not performed. A timeout (408, and 499 of some
// proxies) may have hit a request that was passed on.
func refusedUnseen(status int) bool {
	return status >= 300 && status < 500 && status != http.StatusRequestTimeout && status != 499
}

// knownFacts are those members of a problem that are facts of its error.
var knownFacts = map[string]bool{
	protocol.FactCurrentRevision: true, protocol.FactIndex: true, protocol.FactAttempts: true,
	protocol.FactElapsed: true, protocol.FactOffset: true, protocol.FactTooLarge: true, protocol.FactOwner: true,
}

// parseProblem reads an error as a server writes it. Members that it does not know are left out; false means that
// there is no error of ours.
func parseProblem(text []byte) (*protocol.Error, bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var e protocol.Error
	err := readMembers(dec, func(key string) error {
		switch {
		case key == "code":
			return dec.Decode(&e.Code)
		case key == "detail":
			return dec.Decode(&e.Message)
		case knownFacts[key]:
			return addFact(dec, &e, key)
		default:
			return dec.Decode(&ignored{})
		}
	})
	_, known := statusOf[e.Code]
	return &e, err == nil && known
}

func addFact(dec *json.Decoder, e *protocol.Error, key string) error {
	var value any
	if err := dec.Decode(&value); err != nil {
		return err
	}
	var text string
	switch v := value.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	if text != "" && !strings.ContainsAny(text, " \r\n") { // else it is no fact that we know
		e.Facts = append(e.Facts, protocol.Fact{Key: key, Value: text})
	}
	return nil
}

var errNotJSON = errors.New("httpapi: the reply is not the JSON that it should be")

// readMembers reads an object and calls f for each member, which has to read the value.
func readMembers(dec *json.Decoder, f func(key string) error) error {
	if err := expect(dec, json.Delim('{')); err != nil {
		return err
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		if err := f(token.(string)); err != nil { // the decoder accepts nothing else here
			return err
		}
	}
	return expect(dec, json.Delim('}'))
}

// expect reads one token, which has to be this one.
func expect(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err == nil && token != want {
		err = errNotJSON
	}
	return err
}

// expectEnd says that nothing follows.
func expectEnd(dec *json.Decoder) error {
	_, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return errNotJSON
}

// ignored is a value that is read over, without a copy of it.
type ignored struct{}

func (*ignored) UnmarshalJSON([]byte) error { return nil }
