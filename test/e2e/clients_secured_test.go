package e2e

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stated/stated/test/harness"
)

// TestGoRedis_Secured is TestGoRedis over TLS, with a token.
func TestGoRedis_Secured(t *testing.T) {
	dir := t.TempDir()
	authority := harness.NewAuthority(t)
	pair := authority.Issue(t, dir)
	config := tokens(t, dir, "boss=admin", "reader=read") + fmt.Sprintf("server: {tls: {cert: %s, key: %s}}\n", pair.Cert, pair.Key)
	open := func(t *testing.T, d *secured, proto int, user, password string) *redis.Client {
		c := redis.NewClient(&redis.Options{
			Addr: d.Addr, Protocol: proto, Username: user, Password: password, TLSConfig: authority.Trust(),
			MaxRetries: -1, ReadTimeout: 40 * time.Second,
		})
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			d := startSecured(t, dir, config)
			for _, user := range []string{"", "default", "boss"} {
				c := open(t, d, proto, user, secretOf("boss"))
				goRedisStrings(t, c)
				goRedisTransactions(t, c)
				goRedisNative(t, c)
			}
			reader := open(t, d, proto, "reader", secretOf("reader"))
			if err := reader.Get(guarded(t), "none").Err(); !errors.Is(err, redis.Nil) {
				t.Errorf("GET by the reader: %v", err)
			}
			if err := reader.Set(guarded(t), "a", "1", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM ") {
				t.Errorf("SET by the reader: %v", err)
			}
			for _, who := range [][2]string{{"", ""}, {"", secretOf("nobody")}, {"reader", secretOf("boss")}, {"king", secretOf("boss")}} {
				err := open(t, d, proto, who[0], who[1]).Get(guarded(t), "none").Err()
				if err == nil || !strings.Contains(err.Error(), "NOAUTH") && !strings.Contains(err.Error(), "WRONGPASS") {
					t.Errorf("GET by %q: %v", who, err)
				}
			}
			goRedisContenders(t, open(t, d, proto, "boss", secretOf("boss")))
		})
	}
}

// goRedisContenders has many add to one number by WATCH, each with pipelines in between.
func goRedisContenders(t *testing.T, c *redis.Client) {
	t.Helper()
	const contenders, rounds = 4, 10
	ctx := guarded(t)
	if err := c.Set(ctx, "sum", 0, 0).Err(); err != nil {
		t.Fatal(err)
	}
	add := func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, "sum").Int()
		if err != nil {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "sum", n+1, 0)
			return nil
		})
		return err
	}
	var all sync.WaitGroup
	for i := range contenders {
		all.Go(func() {
			for round := range rounds {
				err := error(redis.TxFailedErr)
				for errors.Is(err, redis.TxFailedErr) {
					err = c.Watch(ctx, add, "sum")
				}
				if err != nil {
					t.Errorf("contender %d, round %d: %v", i, round, err)
					return
				}
			}
		})
	}
	all.Wait()
	if n, err := c.Get(ctx, "sum").Int(); err != nil || n != contenders*rounds {
		t.Errorf("the sum is %d, %v, want %d", n, err, contenders*rounds)
	}
}
