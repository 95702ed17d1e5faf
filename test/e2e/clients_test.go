package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stated/stated/test/harness"
)

// TestGoRedis uses the usual Go client, with the settings that the README advises: no write is sent again by itself.
func TestGoRedis(t *testing.T) {
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			d := harness.Start(t, harness.File(t))
			c := redis.NewClient(&redis.Options{Addr: d.Addr, Protocol: proto, MaxRetries: -1, ReadTimeout: 40 * time.Second})
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			goRedisStrings(t, c)
			goRedisTransactions(t, c)
			goRedisNative(t, c)
		})
	}
}

func goRedisStrings(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := guarded(t)
	check := func(got any, err error, want any) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	pong, err := c.Ping(ctx).Result()
	check(pong, err, "PONG")
	ok, err := c.Set(ctx, "a", `{"turn":1}`, 0).Result()
	check(ok, err, "OK")
	text, err := c.Get(ctx, "a").Result()
	check(text, err, `{"turn":1}`)
	if err := c.Get(ctx, "none").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("GET of nothing: %v", err)
	}
	set, err := c.SetNX(ctx, "a", "1", 0).Result()
	check(set, err, false)
	ok, err = c.MSet(ctx, "b", "2", "c", "3").Result()
	check(ok, err, "OK")
	list, err := c.MGet(ctx, "a", "b", "none", "c").Result()
	check(list, err, []any{`{"turn":1}`, "2", nil, "3"})
	n, err := c.Exists(ctx, "a", "b", "none").Result()
	check(n, err, 2)
	var keys []string
	for scan := c.Scan(ctx, 0, "*", 2).Iterator(); scan.Next(ctx); {
		keys = append(keys, scan.Val())
	}
	if len(keys) != 3 {
		t.Errorf("SCAN gives %v", keys)
	}
	n, err = c.Del(ctx, "b", "c", "none").Result()
	check(n, err, 2)
	n, err = c.DBSize(ctx).Result()
	check(n, err, 1)
	if err := c.Set(ctx, "a", "no JSON", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "INVALID ") {
		t.Errorf("SET of something else: %v", err)
	}
}

func goRedisTransactions(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := guarded(t)
	pipe, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 500 {
			p.Set(ctx, fmt.Sprintf("pipe-%d", i), i, 0)
		}
		return nil
	})
	if err != nil || len(pipe) != 500 {
		t.Errorf("%d replies to a pipeline, %v", len(pipe), err)
	}
	change := func(interfere bool) error {
		return c.Watch(ctx, func(tx *redis.Tx) error {
			if interfere {
				if err := c.Set(ctx, "a", "7", 0).Err(); err != nil {
					return err
				}
			}
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "a", "8", 0)
				p.Del(ctx, "pipe-0")
				return nil
			})
			return err
		}, "a")
	}
	if err := change(true); !errors.Is(err, redis.TxFailedErr) {
		t.Errorf("a watched agent was changed: %v", err)
	}
	if err := change(false); err != nil {
		t.Errorf("nobody changed the watched agent: %v", err)
	}
	if n, err := c.DBSize(ctx).Result(); err != nil || n != 500 {
		t.Errorf("%d agents, %v", n, err)
	}
}

func goRedisNative(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := guarded(t)
	saved, err := c.Do(ctx, "STATE.SAVE", "native", `[1]`, "IFABSENT").Slice()
	if err != nil || len(saved) != 2 {
		t.Fatalf("STATE.SAVE: %v, %v", saved, err)
	}
	err = c.Do(ctx, "STATE.SAVE", "native", `[2]`, "IFREV", saved[0].(int64)-1).Err()
	if want := fmt.Sprintf("CONFLICT current_revision=%d ", saved[0]); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("STATE.SAVE IFREV: %v, want %q", err, want)
	}
	record, err := c.Do(ctx, "STATE.LOAD", "native").Slice()
	if err != nil || len(record) != 3 || record[2] != "[1]" {
		t.Errorf("STATE.LOAD: %v, %v", record, err)
	}
	if err := c.FlushDB(ctx).Err(); err != nil {
		t.Error(err)
	}
	if info, err := c.Info(ctx).Result(); err != nil || !strings.Contains(info, "stated_version:") {
		t.Errorf("INFO: %q, %v", info, err)
	}
}
