package resp_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

func TestGoRedis(t *testing.T) {
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, *redis.Client){
				"strings": goRedisStrings, "scan": goRedisScan, "pipelines": goRedisPipelines, "watch": goRedisWatch,
			} {
				t.Run(name, func(t *testing.T) {
					_, addr := serve(t, protocoltest.New(), resp.Options{Version: "1.2.3"})
					c := redis.NewClient(&redis.Options{Addr: addr, Protocol: proto, ClientName: "go-redis", MaxRetries: -1})
					t.Cleanup(func() { _ = c.Close() })
					test(t, c)
				})
			}
		})
	}
}

func goRedisStrings(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	if err := c.Set(ctx, "a", `{"x":1}`, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(ctx, "a").Result(); got != `{"x":1}` || err != nil {
		t.Errorf("Get: %q, %v", got, err)
	}
	if err := c.Get(ctx, "none").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("Get of none: %v", err)
	}
	if err := c.Set(ctx, "a", "bad", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "INVALID ") {
		t.Errorf("Set of no JSON: %v", err)
	}
	if ok, err := c.SetNX(ctx, "a", "1", 0).Result(); ok || err != nil {
		t.Errorf("SetNX: %v, %v", ok, err)
	}
	if ok, err := c.SetNX(ctx, "b", "1", 0).Result(); !ok || err != nil {
		t.Errorf("SetNX: %v, %v", ok, err)
	}
	if ok, err := c.SetXX(ctx, "none", "1", 0).Result(); ok || err != nil {
		t.Errorf("SetXX: %v, %v", ok, err)
	}
	if err := c.MSet(ctx, "c", "3", "d", "4").Err(); err != nil {
		t.Error(err)
	}
	if got, err := c.MGet(ctx, "c", "none", "d").Result(); fmt.Sprint(got) != "[3 <nil> 4]" || err != nil {
		t.Errorf("MGet: %v, %v", got, err)
	}
	if n, err := c.Del(ctx, "c", "none").Result(); n != 1 || err != nil {
		t.Errorf("Del: %d, %v", n, err)
	}
	if n, err := c.DBSize(ctx).Result(); n != 3 || err != nil {
		t.Errorf("DBSize: %d, %v", n, err)
	}
	if m, err := c.ConfigGet(ctx, "databases").Result(); m["databases"] != "1" || err != nil {
		t.Errorf("ConfigGet: %v, %v", m, err)
	}
	if m, err := c.Command(ctx).Result(); m["get"] == nil || err != nil {
		t.Errorf("Command: %v", err)
	}
	if text, err := c.Info(ctx).Result(); !strings.Contains(text, "stated_version:1.2.3") || err != nil {
		t.Errorf("Info: %q, %v", text, err)
	}
	if got, err := c.Do(ctx, "STATE.LOAD", "a").Slice(); len(got) != 3 || err != nil {
		t.Errorf("STATE.LOAD: %v, %v", got, err)
	}
	if err := c.Do(ctx, "STATE.LOAD", "none").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("STATE.LOAD of none: %v", err)
	}
}

func goRedisScan(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	var want []string
	for i := range 100 {
		id := fmt.Sprintf("agent-%03d", i)
		want = append(want, id)
		if err := c.Set(ctx, id, "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	c.Set(ctx, "other", "1", 0)
	var got []string
	it := c.Scan(ctx, 0, "agent-*", 7).Iterator()
	for it.Next(ctx) {
		got = append(got, it.Val())
	}
	slices.Sort(got)
	if err := it.Err(); err != nil || !slices.Equal(got, want) {
		t.Errorf("Scan: %v, %v", got, err)
	}
	if got, err := c.Keys(ctx, "agent-00?").Result(); len(got) != 10 || err != nil {
		t.Errorf("Keys: %v, %v", got, err)
	}
}

func goRedisPipelines(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	var gets []*redis.StringCmd
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 100 {
			p.Set(ctx, "a", fmt.Sprint(i), 0)
			gets = append(gets, p.Get(ctx, "a"))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, g := range gets {
		if g.Val() != fmt.Sprint(i) {
			t.Errorf("%d: %q", i, g.Val())
		}
	}
	var get *redis.StringCmd
	if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "b", "1", 0)
		get = p.Get(ctx, "b")
		return nil
	}); err != nil || get.Val() != "1" {
		t.Errorf("TxPipelined: %q, %v", get.Val(), err)
	}
	if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "b", "2", 0)
		p.Set(ctx, "b", "bad", 0)
		return nil
	}); err == nil || c.Get(ctx, "b").Val() != "1" {
		t.Errorf("TxPipelined with a bad state: %v, b is %s", err, c.Get(ctx, "b").Val())
	}
}

func goRedisWatch(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	add := func(interfere bool) error {
		return c.Watch(ctx, func(tx *redis.Tx) error {
			n, err := tx.Get(ctx, "n").Int()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			if interfere {
				c.Set(ctx, "n", "100", 0)
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "n", fmt.Sprint(n+1), 0).Err() })
			return err
		}, "n")
	}
	if err := add(false); err != nil || c.Get(ctx, "n").Val() != "1" {
		t.Errorf("Watch: %v, n is %s", err, c.Get(ctx, "n").Val())
	}
	if err := add(true); !errors.Is(err, redis.TxFailedErr) || c.Get(ctx, "n").Val() != "100" {
		t.Errorf("Watch: %v, n is %s", err, c.Get(ctx, "n").Val())
	}
}
