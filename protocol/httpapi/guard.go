package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/auth"
)

// authenticate finds out what the client may do, and returns an error if that is not enough for the route.
func (x *exchange) authenticate(to *route) error {
	if to.open {
		x.grant = x.s.opts.Tokens.Anonymous()
		return nil
	}
	given := x.r.Header.Values("Authorization")
	if len(given) == 0 || !x.s.opts.Tokens.Required() {
		x.grant = x.s.opts.Tokens.Anonymous()
		return x.permit(to.role)
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if len(given) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return protocol.Errorf(protocol.CodeUnauthenticated, "want one header, Authorization: Bearer and the token")
	}
	grant, ok := x.s.opts.Tokens.Check("", strings.TrimSpace(token))
	if !ok {
		x.s.warn.Warn().Str("request_id", x.id).Str("client", x.r.RemoteAddr).Msg("a client came with a token that is not good")
		return protocol.Errorf(protocol.CodeUnauthenticated, "the token is not good")
	}
	x.grant = grant
	return x.permit(to.role)
}

// permit returns an error unless the client has this role, or a higher one.
func (x *exchange) permit(needed auth.Role) error {
	switch {
	case x.grant.Allows(needed):
		return nil
	case x.grant.Role == auth.RoleNone:
		return protocol.Errorf(protocol.CodeUnauthenticated, "a token is needed: Authorization: Bearer and the token")
	default:
		return protocol.Errorf(protocol.CodeForbidden, "token %q has the role %s, and this needs %s", x.grant.Name, x.grant.Role, needed)
	}
}

// checkOrigin refuses what a web page from elsewhere may have made a browser send, which runs on this machine and so
// reaches what listens on loopback. By DNS rebinding such a page can even have an address of its own mean this machine
// (https://en.wikipedia.org/wiki/DNS_rebinding): then the Host header tells.
func (x *exchange) checkOrigin() error {
	c := connOf(x.r.Context())
	if c == nil || !isLocal(c.LocalAddr()) {
		return nil // others need a token, which a foreign page does not have
	}
	if c.LocalAddr().Network() == "tcp" && !x.isOurs(x.r.Host) {
		return protocol.Errorf(protocol.CodeForbidden,
			"%.200q is not a name of this server: want localhost, a loopback address, or one of server.http_hosts", x.r.Host)
	}
	scheme := "http://"
	if c.secure {
		scheme = "https://"
	}
	for _, origin := range x.r.Header.Values("Origin") {
		if !strings.EqualFold(origin, scheme+x.r.Host) {
			return protocol.Errorf(protocol.CodeForbidden, "requests by web pages from elsewhere are not allowed (Origin: %.200s)", origin)
		}
	}
	if site := x.r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return protocol.Errorf(protocol.CodeForbidden, "requests by web pages from elsewhere are not allowed (Sec-Fetch-Site: %s)", site)
	}
	return nil
}

func isLocal(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

func (x *exchange) isOurs(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return true
	}
	same := func(name string) bool { return strings.EqualFold(name, host) }
	return same("localhost") || slices.ContainsFunc(x.s.opts.Hosts, same)
}

// refuseForms keeps forms of web pages out that could spell JSON, in browsers so old that they do not send an Origin:
// those of the types text/plain and multipart/form-data. What curl -d says its body is cannot: a browser encodes it.
func (x *exchange) refuseForms() error {
	got, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	switch got = strings.ToLower(strings.TrimSpace(got)); got {
	case "", jsonType, "application/x-www-form-urlencoded":
		return nil
	}
	return status{http.StatusUnsupportedMediaType, protocol.Errorf(protocol.CodeInvalid, "Content-Type is %.64q: want %s", got, jsonType)}
}
