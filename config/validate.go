package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxStateBytes  = 512 << 20 // SQLite takes a row of at most 1e9 bytes
	maxBytes       = 1 << 40   // of anything else; far from any overflow
	maxWait        = 24 * time.Hour
	minCacheBytes  = 1 << 20
	minWALBytes    = 1 << 20
	replyOverhead  = 64 << 10 // room for what surrounds the state in a reply
	maxSocketBytes = 107      // of the path of a unix socket, on Linux
)

// validate reports what is wrong with the values by themselves and with each other. A rule is left out when one of
// its keys has a problem already.
func (l *loader) validate(c *Config) {
	l.validateStore(c.Store)
	l.validateSizes(c)
	l.validateTimeouts(c.Timeouts)
	l.validateServer(c.Server, len(c.Auth.Tokens) > 0 || l.bad["auth.tokens"])
	l.validateAuth(c.Auth)
	l.oneOf("log.level", c.Log.Level, "trace", "debug", "info", "warn", "error")
	l.oneOf("log.format", c.Log.Format, "auto", "console", "json")
	if c.Log.SlowRequest != 0 {
		l.wait("log.slow_request", c.Log.SlowRequest)
	}
}

func (l *loader) validateServer(s Server, tokens bool) {
	l.listeners("server.redis", s.Redis, tokens)
	l.listeners("server.http", s.HTTP, tokens)
	if !l.bad["server.redis"] {
		for _, address := range s.HTTP {
			if slices.Contains(s.Redis, address) && !strings.HasSuffix(address, ":0") {
				l.clash("server.http", "%q is in server.redis, too: want another address", address)
			}
		}
	}
	for _, host := range s.HTTPHosts {
		if strings.ContainsAny(host, "/:@ ") && net.ParseIP(host) == nil {
			l.refuse("server.http_hosts", "%q is not a host name: want it without scheme, port and path", host)
		}
	}
	l.validateTLS(s.TLS)
}

// listeners looks at the addresses of one front end.
func (l *loader) listeners(key string, addresses []string, tokens bool) {
	for _, address := range addresses {
		if err := checkListener(address, tokens); err != nil {
			l.refuse(key, "%v", err)
		}
	}
	if twice := repeated(addresses); twice != "" {
		l.refuse(key, "%q is in the list twice", twice)
	}
}

func (l *loader) validateStore(s Store) {
	switch {
	case s.Path == "":
		l.refuse("store.path", "is empty: want the path of a file")
	case strings.ContainsRune(s.Path, 0):
		l.refuse("store.path", "%q contains a zero byte", s.Path)
	case s.Path == ":memory:" || strings.HasPrefix(s.Path, "file:"):
		l.refuse("store.path", "%q is not a path: stated keeps its data in a file, write ./%s if that is its name", s.Path, s.Path)
	}
	l.oneOf("store.durability", s.Durability, "full", "normal", "off")
	l.oneOf("store.wal_writes", s.WALWrites, "gathered", "plain")
	l.oneOf("store.commits", s.Commits, "pipelined", "plain")
	l.count("store.readers", s.Readers, 0, 1024)
	l.size("store.cache_bytes", s.CacheBytes, minCacheBytes, maxBytes)
	l.size("store.hot_bytes", s.HotBytes, 0, maxBytes)
	l.size("store.wal_bytes", s.WALBytes, minWALBytes, maxBytes)
}

func (l *loader) validateSizes(c *Config) {
	l.count("actor.mailbox", c.Actor.Mailbox, 1, 1_000_000)
	l.size("actor.mailbox_bytes", c.Actor.MailboxBytes, 1, maxBytes)
	l.count("actor.batch", c.Actor.Batch, 1, 1_000_000)
	l.size("actor.batch_bytes", c.Actor.BatchBytes, 1, maxBytes)
	state := int64(c.Limits.StateBytes)
	l.size("limits.state_bytes", state, 1, maxStateBytes)
	l.size("limits.request_bytes", c.Limits.RequestBytes, 1, maxBytes)
	l.size("limits.inflight_bytes", c.Limits.InflightBytes, 1, maxBytes)
	l.size("limits.output_bytes", c.Limits.OutputBytes, 1, maxBytes)
	l.count("limits.connections", c.Limits.Connections, 1, 1_000_000)

	l.fits("limits.state_bytes", state, "limits.request_bytes", c.Limits.RequestBytes, 0)
	l.fits("limits.request_bytes", c.Limits.RequestBytes, "limits.inflight_bytes", c.Limits.InflightBytes, 0)
	l.fits("limits.request_bytes", c.Limits.RequestBytes, "actor.mailbox_bytes", c.Actor.MailboxBytes, 0)
	l.fits("limits.state_bytes", state, "limits.output_bytes", c.Limits.OutputBytes, replyOverhead)
}

func (l *loader) validateTimeouts(t Timeouts) {
	const prefix = "timeouts.state_store_"
	l.wait(prefix+"lock", t.StateStoreLock)
	l.count(prefix+"retry_max", t.StateStoreRetryMax, 0, 1000)
	l.wait(prefix+"retry_base", t.StateStoreRetryBase)
	l.wait(prefix+"retry_max_delay", t.StateStoreRetryMaxDelay)
	if j := t.StateStoreRetryJitter; j < 0 || j > 1 {
		l.refuse(prefix+"retry_jitter", "%v is out of range: want a fraction from 0 to 1", j)
	}
	l.wait("timeouts.request", t.Request)
	l.wait("timeouts.shutdown", t.Shutdown)

	if t.StateStoreRetryBase > t.StateStoreRetryMaxDelay && !l.bad[prefix+"retry_max_delay"] {
		l.clash(prefix+"retry_base", "%v is more than the %v of %sretry_max_delay", t.StateStoreRetryBase, t.StateStoreRetryMaxDelay, prefix)
	}
	for _, name := range []string{"lock", "retry_max", "retry_base", "retry_max_delay", "retry_jitter"} {
		if l.bad[prefix+name] {
			return
		}
	}
	if budget := lockBudget(t); budget > t.Request {
		attempts := t.StateStoreRetryMax + 1
		l.clash("timeouts.request", "%v is less than the budget for a lock of %v: %d attempts of %v, and up to %v between them; "+
			"raise timeouts.request, or lower %slock or %sretry_max", t.Request, budget, attempts, t.StateStoreLock,
			budget-time.Duration(attempts)*t.StateStoreLock, prefix, prefix)
	}
}

// lockBudget is the longest time that all attempts to get a lock can take, with the delays between them.
func lockBudget(t Timeouts) time.Duration {
	budget := t.StateStoreLock
	delay := t.StateStoreRetryBase
	for range t.StateStoreRetryMax {
		delay = min(delay, t.StateStoreRetryMaxDelay)
		budget += t.StateStoreLock + delay + time.Duration(float64(delay)*t.StateStoreRetryJitter)
		delay *= 2
	}
	return budget
}

// refuse reports a value, unless a problem with its key is known already.
func (l *loader) refuse(key, format string, args ...any) {
	if !l.bad[key] {
		l.problem(key, l.from[key], format, args...)
	}
}

// clash reports a value that does not go with that of another key. It does not stand in the way of other rules.
func (l *loader) clash(key, format string, args ...any) {
	if !l.bad[key] {
		l.report(key, l.from[key], format, args...)
	}
}

func (l *loader) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		l.refuse(key, "%q is not allowed: want one of %s", value, strings.Join(allowed, ", "))
	}
}

func (l *loader) count(key string, n, low, high int) {
	if n < low || n > high {
		l.refuse(key, "%d is out of range: want %d to %d", n, low, high)
	}
}

func (l *loader) size(key string, n, low, high int64) {
	if n < low || n > high {
		l.refuse(key, "%s is out of range: want %s to %s", formatSize(n), formatSize(low), formatSize(high))
	}
}

// wait allows no less than the millisecond that SQLite counts in.
func (l *loader) wait(key string, d time.Duration) {
	if d < time.Millisecond || d > maxWait {
		l.refuse(key, "%v is out of range: want %v to %v", d, time.Millisecond, maxWait)
	}
}

// fits reports a key that is too small to hold what another one allows.
func (l *loader) fits(small string, n int64, large string, room, overhead int64) {
	if n+overhead <= room || l.bad[small] {
		return
	}
	around := ""
	if overhead > 0 {
		around = " and " + formatSize(overhead) + " around it"
	}
	l.clash(large, "%s is too little: want at least the %s of %s%s", formatSize(room), formatSize(n), small, around)
}

func checkListener(address string, tokens bool) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return checkSocket(address, path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address: want host:port, such as 127.0.0.1:7828, or unix:/path", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no valid port: want a number from 0 to 65535", address)
	}
	if ip, err := netip.ParseAddr(host); !tokens && host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not a loopback address such as 127.0.0.1 or localhost: "+
			"listening on other than loopback needs tokens (auth.tokens)", address)
	}
	return nil
}

func checkSocket(address, path string) error {
	switch {
	case path == "":
		return fmt.Errorf("%q has no path: want unix:/path", address)
	case len(path) > maxSocketBytes:
		return fmt.Errorf("%q has a path of %d bytes: a unix socket takes at most %d", address, len(path), maxSocketBytes)
	case strings.ContainsRune(path, 0) || !utf8.ValidString(path):
		return fmt.Errorf("%q contains a zero byte or is not valid UTF-8", address)
	case path[0] == '@':
		return fmt.Errorf("%q is an abstract socket, which has no owner and no mode: want unix:/path", address)
	}
	return nil
}

// repeated gives the first address that occurs twice. Port 0 is another port each time.
func repeated(addresses []string) string {
	for i, address := range addresses {
		if slices.Contains(addresses[:i], address) && !strings.HasSuffix(address, ":0") {
			return address
		}
	}
	return ""
}
