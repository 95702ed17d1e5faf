package resp

import (
	"context"
	"strings"
)

// FetchInfo asks a server for what INFO tells in these sections, all of them when none is named, on a connection of its
// own. Of the options it uses Name, Token, TLS, DialTimeout and Dialer. It blocks until the answer is there or ctx ends,
// and returns errors as [Dial] does, and FORBIDDEN if the token may not ask.
func FetchInfo(ctx context.Context, addr string, o ClientOptions, sections ...string) (map[string]string, error) {
	o = o.withDefaults()
	s, err := newLink(addr, o, nil).connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.nc.Close() //nolint:errcheck // everything was read, or an error is on its way
	stop := context.AfterFunc(ctx, func() { _ = s.nc.Close() })
	defer stop()
	if _, err := s.nc.Write(appendCommand(nil, append([]string{"INFO"}, sections...)...)); err != nil {
		return nil, unreachable(ctx, addr, err)
	}
	v, err := s.values.next()
	switch {
	case err != nil:
		return nil, unreachable(ctx, addr, err)
	case v.isError():
		return nil, parseErrorLine(string(v.text))
	}
	return parseInfo(strings.TrimPrefix(string(v.text), "txt:")), nil // a verbatim string tells its format
}

// parseInfo reads the lines of the form key:value. Others are titles.
func parseInfo(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok && !strings.HasPrefix(line, "#") {
			fields[key] = value
		}
	}
	return fields
}
