package store_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// TestOutsiders_Constraints: what an outsider put on the table refuses one operation, never its neighbours.
func TestOutsiders_Constraints(t *testing.T) {
	const when = " ON agent_state WHEN NEW.agent_id = 'bad' BEGIN SELECT RAISE("
	for name, test := range map[string]struct {
		make  string
		state string // of the refused save
	}{
		"trigger before insert, abort":  {make: "CREATE TRIGGER u BEFORE INSERT" + when + "ABORT, 'no'); END"},
		"trigger after insert, abort":   {make: "CREATE TRIGGER u AFTER INSERT" + when + "ABORT, 'no'); END"},
		"trigger before insert, fail":   {make: "CREATE TRIGGER u BEFORE INSERT" + when + "FAIL, 'no'); END"},
		"trigger after insert, fail":    {make: "CREATE TRIGGER u AFTER INSERT" + when + "FAIL, 'no'); END"},
		"trigger before insert, ignore": {make: "CREATE TRIGGER u BEFORE INSERT" + when + "IGNORE); END"},
		"trigger with another case":     {make: "CREATE TRIGGER u AFTER INSERT" + strings.Replace(when, "agent_state", "AGENT_STATE", 1) + "FAIL, 'no'); END"},
		"unique index":                  {make: "CREATE UNIQUE INDEX u ON agent_state (state_json) WHERE state_json = '{\"by\":\"us\"}'", state: `{"by":"us"}`},
		"unique index on an expression": {make: "CREATE UNIQUE INDEX u ON agent_state (json_extract(state_json, '$.by'))", state: `{"by":"other"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := share(t)
			s.exec("UPDATE agent_state SET state_json = '{\"by\":\"other\"}' WHERE agent_id = 'b'")
			s.exec(test.make)
			if test.state == "" {
				test.state = `{"by":"me"}`
			}
			replies := mustApply(t, s.s, save("n1", "1"), save("bad", test.state),
				txn(save("n2", "1"), save("bad", test.state), save("n3", "1")), save("n4", "1"))
			wantCode(t, replies[1].Err, protocol.CodeInvalid)
			wantCode(t, replies[2].Err, protocol.CodeInvalid)
			if i, ok := protocol.AsError(replies[2].Err).Fact(protocol.FactIndex); !ok || i != "1" {
				t.Errorf("the transaction's index: %v", replies[2].Err)
			}
			for id, code := range map[string]protocol.Code{
				"n1": "", "bad": protocol.CodeNotFound, "n2": protocol.CodeNotFound, "n3": protocol.CodeNotFound, "n4": "",
			} {
				r, err := load(t, s.s, id)
				wantCode(t, err, code)
				if err == nil {
					s.highest = max(s.highest, r.Revision)
				}
			}
			if replies[3].Revision != replies[0].Revision+1 {
				t.Errorf("revisions %d and %d: the refused took some", replies[0].Revision, replies[3].Revision)
			}
			s.exec("DROP " + strings.Fields(strings.Replace(test.make, "UNIQUE ", "", 1))[1] + " u")
			s.save("bad", test.state)
			s.goesOn()
		})
	}
}

// TestOutsiders_UpdateTriggers is the same for an agent that exists, and for deletes.
func TestOutsiders_UpdateTriggers(t *testing.T) {
	for _, test := range []struct{ event, raise string }{
		{"BEFORE UPDATE", "ABORT, 'no'"}, {"AFTER UPDATE", "ABORT, 'no'"},
		{"BEFORE UPDATE", "FAIL, 'no'"}, {"AFTER UPDATE", "FAIL, 'no'"},
		{"BEFORE UPDATE", "IGNORE"},
		{"BEFORE DELETE", "ABORT, 'no'"}, {"AFTER DELETE", "FAIL, 'no'"}, {"BEFORE DELETE", "IGNORE"},
	} {
		t.Run(test.event+" "+test.raise, func(t *testing.T) {
			s := share(t)
			s.exec(fmt.Sprintf("CREATE TRIGGER u %s ON agent_state WHEN OLD.agent_id = 'a' BEGIN SELECT RAISE(%s); END", test.event, test.raise))
			op := save("a", "2")
			if strings.HasSuffix(test.event, "DELETE") {
				op = del("a")
			}
			replies := mustApply(t, s.s, save("n1", "1"), op, txn(save("n2", "1"), op), save("n4", "1"))
			wantCode(t, replies[0].Err, "")
			wantCode(t, replies[1].Err, protocol.CodeInvalid)
			wantCode(t, replies[2].Err, protocol.CodeInvalid)
			wantCode(t, replies[3].Err, "")
			if r, err := load(t, s.s, "a"); err != nil || string(r.State) != `{"by":"us"}` || r.Revision != 1 {
				t.Errorf("a is %s at %d, %v", r.State, r.Revision, err)
			}
			_, err := load(t, s.s, "n2")
			wantCode(t, err, protocol.CodeNotFound)
			s.highest = replies[3].Revision
			s.exec("DROP TRIGGER u")
			s.goesOn()
		})
	}
}

// TestOutsiders_RollbackTrigger: RAISE(ROLLBACK) ends the transaction that the batch shares. Nothing of it may be
// left, nor may anything run as if it were still there.
func TestOutsiders_RollbackTrigger(t *testing.T) {
	s := share(t)
	s.exec("CREATE TRIGGER u AFTER INSERT ON agent_state WHEN NEW.agent_id = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END")
	for _, bad := range []protocol.Op{save("bad", "1"), txn(save("n2", "1"), save("bad", "1"))} {
		b := batchOf(save("n1", "1"), bad, save("n3", "1"))
		_, err := s.s.Apply(t.Context(), b)
		wantCode(t, err, protocol.CodeInvalid)
		if b.release != b.taken {
			t.Errorf("taken %d times, released %d times", b.taken, b.release)
		}
		if n, _ := read(t, s.s, must(protocol.Count(""))); n.Count != 2 {
			t.Errorf("%d agents", n.Count)
		}
	}
	s.goesOn()
}

// TestOutsiders_TriggerThatWrites: an outsider's trigger changes the row that stated has just written.
func TestOutsiders_TriggerThatWrites(t *testing.T) {
	s := share(t)
	s.exec(`CREATE TRIGGER u AFTER INSERT ON agent_state WHEN NEW.agent_id LIKE 't%' BEGIN
		UPDATE agent_state SET state_json = '"touched"' WHERE agent_id = NEW.agent_id; END`)
	s.exec("CREATE TABLE audit (id TEXT)")
	s.exec("CREATE TRIGGER v AFTER UPDATE ON agent_state BEGIN INSERT INTO audit VALUES (NEW.agent_id); END")
	replies := mustApply(t, s.s, save("n1", "1"), save("t1", "1"), save("n2", "1"), save("t2", "1"), save("n3", "1"))
	for i, id := range []string{"n1", "t1", "n2", "t2", "n3"} {
		r, err := load(t, s.s, id)
		if err != nil || r.Revision != replies[i].Revision { // what the trigger changed included
			t.Errorf("%s: revision %d, %v; its reply said %d", id, r.Revision, err, replies[i].Revision)
		}
		if touched := string(r.State) == `"touched"`; touched != (id[0] == 't') {
			t.Errorf("%s is %s", id, r.State)
		}
		s.fresh(id, r.Revision)
	}
	s.goesOn()
	if n := mustQuery[int](t, s.outside, "SELECT count(*) FROM audit"); n == 0 {
		t.Error("the outsider's trigger never ran")
	}
}

// TestOutsiders_TriggerThatWritesInTxn: revisions that a trigger takes inside our transaction are nobody else's.
func TestOutsiders_TriggerThatWritesInTxn(t *testing.T) {
	s := share(t)
	s.exec(`CREATE TRIGGER u AFTER INSERT ON agent_state WHEN NEW.agent_id LIKE 't%' BEGIN
		INSERT INTO agent_state (agent_id, state_json) VALUES ('log1' || NEW.agent_id, '1'), ('log2' || NEW.agent_id, '2'); END`)
	reply := mustApply(t, s.s, txn(save("t1", "1"), save("b1", "1"), save("t2", "1")), save("c1", "1"))
	told := map[string]int64{"c1": reply[1].Revision}
	for i, id := range []string{"t1", "b1", "t2"} {
		told[id] = reply[0].Replies[i].Revision
	}
	seen := map[int64]string{}
	for _, id := range []string{"t1", "log1t1", "log2t1", "b1", "t2", "log1t2", "log2t2", "c1"} {
		r, err := load(t, s.s, id)
		if err != nil || told[id] != 0 && told[id] != r.Revision {
			t.Errorf("%s: revision %d, %v; its reply said %d", id, r.Revision, err, told[id])
		}
		if other, ok := seen[r.Revision]; ok {
			t.Errorf("%s and %s have revision %d", id, other, r.Revision)
		}
		seen[r.Revision] = id
	}
	s.goesOn()
}

// TestOutsiders_TableConstraints: clauses inside the outsider's own CREATE TABLE, which stated adopts.
func TestOutsiders_TableConstraints(t *testing.T) {
	for name, column := range map[string]string{
		"rollback": "tag TEXT AS (json_extract(state_json, '$.tag')) UNIQUE ON CONFLICT ROLLBACK",
		"replace":  "tag TEXT AS (json_extract(state_json, '$.tag')) UNIQUE ON CONFLICT REPLACE",
		"ignore":   "tag TEXT AS (json_extract(state_json, '$.tag')) UNIQUE ON CONFLICT IGNORE",
		"fail":     "tag TEXT AS (json_extract(state_json, '$.tag')) UNIQUE ON CONFLICT FAIL",
		"check":    "CHECK (json_extract(state_json, '$.tag') <> 'x' OR agent_id = 'a')",
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			mustMake(t, path, `CREATE TABLE agent_state (agent_id TEXT PRIMARY KEY ON CONFLICT ROLLBACK, state_json TEXT NOT NULL ON CONFLICT ROLLBACK
				CHECK (json_valid(state_json)), updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, `+column+")",
				`INSERT INTO agent_state (agent_id, state_json) VALUES ('a', '{"tag":"x"}')`)
			s := mustOpen(t, path, impatient())
			replies := mustApply(t, s, save("n1", `{"tag":"1"}`), save("n2", `{"tag":"x"}`), save("n1", `{"tag":"x"}`),
				save("a", `{"tag":"x","n":2}`), save("n3", `{"tag":"3"}`))
			for i, want := range []protocol.Code{"", protocol.CodeInvalid, protocol.CodeInvalid, "", ""} {
				wantCode(t, replies[i].Err, want)
			}
			if n, err := read(t, s, must(protocol.Count(""))); err != nil || n.Count != 3 {
				t.Errorf("%d agents, %v", n.Count, err)
			}
			if r, err := load(t, s, "n1"); err != nil || string(r.State) != `{"tag":"1"}` {
				t.Errorf("n1: %s, %v", r.State, err)
			}
		})
	}
}

// TestOutsiders_DropTrigger: without its triggers the file cannot keep its promises; nothing is written until they
// are back.
func TestOutsiders_DropTrigger(t *testing.T) {
	triggers := regexp.MustCompile(`(?s)CREATE TRIGGER (stated_\w+).*?\nEND;`).FindAllStringSubmatch(store.VersioningSQL, -1)
	if len(triggers) != 2 {
		t.Fatalf("found the triggers %q", triggers)
	}
	for _, trigger := range triggers {
		t.Run(trigger[1], func(t *testing.T) {
			s := share(t)
			s.exec("DROP TRIGGER " + trigger[1])
			b := batchOf(save("a", "1"))
			_, err := s.s.Apply(t.Context(), b)
			wantCode(t, err, protocol.CodeUnavailable)
			if b.taken != 0 {
				t.Error("the batch was taken")
			}
			if _, err := load(t, s.s, "a"); err != nil {
				t.Errorf("reading: %v", err)
			}
			s.exec(trigger[0])
			mustRecover(t, s.s)
			s.goesOn()
		})
	}
}

// TestSchema_RunsOnOldSQLite looks for what came after SQLite 3.26 (https://sqlite.org/changes.html), since the
// outsiders' SQLite has to parse the schema and run the triggers.
func TestSchema_RunsOnOldSQLite(t *testing.T) {
	newer := regexp.MustCompile(`(?i)\b(STRICT|RETURNING|GENERATED|MATERIALIZED|NULLS\s+(FIRST|LAST)|FILTER|iif|UPDATE\s+\w+\s+SET[^;]*\bFROM\s+\w+\s+WHERE|` +
		`DROP\s+COLUMN|RIGHT\s+JOIN|FULL\s+JOIN|unixepoch|octet_length|format|concat|concat_ws|string_agg|timediff|jsonb\w*|unhex|subtype|` +
		`IS\s+(NOT\s+)?DISTINCT|sqlite_schema|math|ceil|floor|pow)\b|->`)
	for name, text := range map[string]string{"schema.sql": store.SchemaSQL, "versioning.sql": store.VersioningSQL} {
		code := regexp.MustCompile(`--.*`).ReplaceAllString(text, "")
		code = strings.ReplaceAll(code, "(SELECT revision FROM stated_meta WHERE id = 1)", "(…)") // a subquery, no UPDATE FROM
		if found := newer.FindString(code); found != "" {
			t.Errorf("%s has %q, which is newer", name, found)
		}
	}
}
