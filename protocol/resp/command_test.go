package resp_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/protocoltest"
	"github.com/stated/stated/protocol/resp"
)

// replies are what commands answer when a and b exist, as revisions 1 and 2. Commands on one line, cut at ";",
// belong to one connection; "~" in a reply stands for a line break, "^" for the "~" of a set. A second reply is that of RESP3.
var replies = map[string][]string{
	"PING":                             {"+PONG~"},
	"ping hi":                          {"$2~hi~"},
	"PING a b":                         {"-ERR wrong number of arguments for 'ping' command~"},
	"ECHO hi":                          {"$2~hi~"},
	"ECHO":                             {"-ERR wrong number of arguments for 'echo' command~"},
	"SELECT 0":                         {"+OK~"},
	"SELECT 1":                         {"-ERR DB index is out of range~"},
	"SELECT x":                         {"-ERR value is not an integer or out of range~"},
	"foo bar baz":                      {"-ERR unknown command 'foo', with args beginning with: 'bar' 'baz' ~"},
	"foo":                              {"-ERR unknown command 'foo', with args beginning with: ~"},
	"HELLO x":                          {"-ERR Protocol version is not an integer or out of range~"},
	"HELLO 4":                          {"-NOPROTO unsupported protocol version~"},
	"HELLO 3 SETNAME":                  {"-ERR Syntax error in HELLO option 'SETNAME'~"},
	"HELLO 3 AUTH u p":                 {"-WRONGPASS invalid username-password pair or user is disabled.~"},
	"HELLO 3 x":                        {"-ERR Syntax error in HELLO option 'x'~"},
	"HELLO 3 AUTH u":                   {"-ERR Syntax error in HELLO option 'AUTH'~"},
	"AUTH x":                           {"-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?~"},
	"AUTH default x; PING":             {"+OK~+PONG~"},
	"AUTH other x":                     {"-WRONGPASS invalid username-password pair or user is disabled.~"},
	"AUTH a b c":                       {"-ERR syntax error~"},
	"AUTH":                             {"-ERR wrong number of arguments for 'auth' command~"},
	"CLIENT SETNAME x; CLIENT GETNAME": {"+OK~$1~x~"},
	"CLIENT GETNAME":                   {"$-1~", "_~"},
	`CLIENT SETNAME "a b"`:             {"-ERR Client names cannot contain spaces, newlines or special characters.~"},
	"CLIENT SETINFO LIB-NAME go":       {"+OK~"},
	"CLIENT SETINFO LIB-VER 1":         {"+OK~"},
	"CLIENT SETINFO X 1":               {"-ERR Unrecognized option 'X'~"},
	"CLIENT NO-EVICT on":               {"+OK~"},
	"CLIENT NO-TOUCH off":              {"+OK~"},
	"CLIENT NO-TOUCH maybe":            {"-ERR syntax error~"},
	"CLIENT SETNAME":                   {"-ERR wrong number of arguments for 'client|setname' command~"},
	"CLIENT KILL x":                    {"-ERR unknown subcommand 'KILL'. Try CLIENT HELP.~"},
	"CLIENT":                           {"-ERR wrong number of arguments for 'client' command~"},
	"CONFIG GET save":                  {"*2~$4~save~$0~~", "%1~$4~save~$0~~"},
	"CONFIG HELP":                      {"*5~+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:~+GET pattern [pattern ...]~+    Tells the settings that tools of Redis ask for and that match.~+HELP~+    Prints this help.~"},
	"CONFIG":                           {"-ERR wrong number of arguments for 'config' command~"},
	"CONFIG HELP x":                    {"-ERR wrong number of arguments for 'config|help' command~"},
	"CONFIG GET nothing":               {"*0~", "%0~"},
	"CONFIG SET save x":                {"-ERR unknown subcommand 'SET'. Try CONFIG HELP.~"},
	"CONFIG GET":                       {"-ERR wrong number of arguments for 'config|get' command~"},
	"COMMAND INFO nothing":             {"*1~$-1~", "*1~_~"},
	"COMMAND INFO get":                 {"*1~*10~$3~get~:2~*2~+readonly~+fast~:1~:1~:1~*3~+@string~+@fast~+@read~*0~*0~*0~", "*1~*10~$3~get~:2~^2~+readonly~+fast~:1~:1~:1~^3~+@string~+@fast~+@read~*0~*0~*0~"},
	"COMMAND INFO client|list":         {"*1~*10~$11~client|list~:-2~*1~+admin~:0~:0~:0~*4~+@connection~+@slow~+@admin~+@dangerous~*0~*0~*0~", "*1~*10~$11~client|list~:-2~^1~+admin~:0~:0~:0~^4~+@connection~+@slow~+@admin~+@dangerous~*0~*0~*0~"},
	"COMMAND INFO auth":                {"*1~*10~$4~auth~:-2~*2~+fast~+no_auth~:0~:0~:0~*2~+@connection~+@fast~*0~*0~*0~", "*1~*10~$4~auth~:-2~^2~+fast~+no_auth~:0~:0~:0~^2~+@connection~+@fast~*0~*0~*0~"},
	"COMMAND DOCS echo nothing": {
		"*2~$4~echo~*10~$7~summary~$21~Answers its argument.~$5~since~$5~1.0.0~$5~group~$10~connection~$10~complexity~$4~O(1)~$9~arguments~*1~*4~$4~name~$7~message~$4~type~$6~string~",
		"%1~$4~echo~%5~$7~summary~$21~Answers its argument.~$5~since~$5~1.0.0~$5~group~$10~connection~$10~complexity~$4~O(1)~$9~arguments~*1~%2~$4~name~$7~message~$4~type~$6~string~",
	},
	"COMMAND LIST FILTERBY PATTERN *nx":        {"*1~$5~setnx~"},
	"COMMAND LIST FILTERBY ACLCAT transaction": {"*5~$7~discard~$4~exec~$5~multi~$7~unwatch~$5~watch~"},
	"COMMAND LIST FILTERBY MODULE x":           {"*0~"},
	"COMMAND LIST FILTERBY x y":                {"-ERR syntax error~"},
	"COMMAND LIST x":                           {"-ERR syntax error~"},
	"COMMAND NOTHING":                          {"-ERR unknown subcommand 'NOTHING'. Try COMMAND HELP.~"},
	"COMMAND COUNT x":                          {"-ERR wrong number of arguments for 'command|count' command~"},
	"COMMAND GETKEYS MSET a 1 b 2":             {"*2~$1~a~$1~b~"},
	"COMMAND GETKEYS MGET a b":                 {"*2~$1~a~$1~b~"},
	"COMMAND GETKEYS GET a":                    {"*1~$1~a~"},
	"COMMAND GETKEYS GET a b":                  {"-ERR Invalid number of arguments specified for command~"},
	"COMMAND GETKEYS nothing":                  {"-ERR Invalid command specified~"},
	"COMMAND GETKEYS PING":                     {"-ERR The command has no key arguments~"},
	"INFO nothing":                             {"$0~~", "=4~txt:~"},
	"INFO keyspace":                            {"$44~# Keyspace~db0:keys=2,expires=0,avg_ttl=0~~", "=48~txt:# Keyspace~db0:keys=2,expires=0,avg_ttl=0~~"},
	"RESET":                                    {"+RESET~"},
	"MULTI; AUTH default x; EXEC":              {"+OK~-ERR Command not allowed inside a transaction~-EXECABORT Transaction discarded because of previous errors.~"},
	"MULTI; HELLO 3; EXEC":                     {"+OK~-ERR Command not allowed inside a transaction~-EXECABORT Transaction discarded because of previous errors.~"},
	"MULTI; RESET; EXEC":                       {"+OK~+RESET~-ERR EXEC without MULTI~"},

	"GET a":                          {"$7~{\"x\":1}~"},
	"get none":                       {"$-1~", "_~"},
	"GET":                            {"-ERR wrong number of arguments for 'get' command~"},
	"GET a b":                        {"-ERR wrong number of arguments for 'get' command~"},
	`GET ""`:                         {"-INVALID the agent id is empty~"},
	`GET "a\nb"`:                     {"-INVALID the agent id has the control character 0x0a at byte 1~"},
	"SET c 1; GET c":                 {"+OK~$1~1~"},
	"SET c nope":                     {"-INVALID offset=1 state is not JSON at byte 1: invalid character 'o' in literal null (expecting 'u')~"},
	"SET a 1 NX; GET a":              {"$-1~$7~{\"x\":1}~", "_~$7~{\"x\":1}~"},
	"SET c 1 nx; GET c":              {"+OK~$1~1~"},
	"SET a 1 XX; GET a":              {"+OK~$1~1~"},
	"SET c 1 XX; GET c":              {"$-1~$-1~", "_~_~"},
	"SET a 1 GET; GET a":             {"$7~{\"x\":1}~$1~1~"},
	"SET c 1 GET; GET c":             {"$-1~$1~1~", "_~$1~1~"},
	"SET a 1 NX GET; GET a":          {"$7~{\"x\":1}~$7~{\"x\":1}~"},
	"SET c 1 NX GET; GET c":          {"$-1~$1~1~", "_~$1~1~"},
	"SET a 1 XX GET; GET a":          {"$7~{\"x\":1}~$1~1~"},
	"SET a 1 NX XX":                  {"-ERR syntax error~"},
	"SET a 1 EX 5":                   {"-ERR syntax error: SET takes NX, XX and GET here, not 'EX'~"},
	"SET a":                          {"-ERR wrong number of arguments for 'set' command~"},
	"GETSET a 1; GET a":              {"$7~{\"x\":1}~$1~1~"},
	"GETSET c 1; GET c":              {"$-1~$1~1~", "_~$1~1~"},
	"SETNX a 1; GET a":               {":0~$7~{\"x\":1}~"},
	"SETNX c 1; GET c":               {":1~$1~1~"},
	"MGET a none b":                  {"*3~$7~{\"x\":1}~$-1~$3~[2]~", "*3~$7~{\"x\":1}~_~$3~[2]~"},
	"MGET a":                         {"*1~$7~{\"x\":1}~"},
	"MGET none":                      {"*1~$-1~", "*1~_~"},
	"MSET c 1 d 2; MGET c d":         {"+OK~*2~$1~1~$1~2~"},
	"MSET c 1 c 2; GET c":            {"+OK~$1~2~"},
	"MSET c 1 d; GET c":              {"-ERR wrong number of arguments for 'mset' command~$-1~", "-ERR wrong number of arguments for 'mset' command~_~"},
	"MSET c 1 d bad; EXISTS c":       {"-INVALID offset=0 pair 2: state is not JSON at byte 0: invalid character 'b' looking for beginning of value~:0~"},
	"DEL a; DEL a":                   {":1~:0~"},
	"DEL a none b":                   {":2~"},
	"UNLINK a a":                     {":1~"},
	"EXISTS a":                       {":1~"},
	"EXISTS none":                    {":0~"},
	"EXISTS a a none b":              {":3~"},
	"STRLEN a":                       {":7~"},
	"STRLEN none":                    {":0~"},
	"TYPE a":                         {"+string~"},
	"TYPE none":                      {"+none~"},
	"KEYS *":                         {"*2~$1~a~$1~b~"},
	"KEYS a*":                        {"*1~$1~a~"},
	"KEYS [bc]":                      {"*1~$1~b~"},
	"KEYS none":                      {"*0~"},
	`KEYS "a\n*"`:                    {"*0~"},
	`SET é 1; KEYS "\xc3*"`:          {"+OK~*1~$2~é~"},
	"SCAN 0":                         {"*2~$1~0~*2~$1~a~$1~b~"},
	"SCAN 0 COUNT 1":                 {"*2~$1~1~*1~$1~a~"},
	"SCAN 1 COUNT 1":                 {"*2~$1~0~*1~$1~b~"},
	"SCAN 0 MATCH b*":                {"*2~$1~0~*1~$1~b~"},
	"SCAN 0 TYPE string COUNT 99999": {"*2~$1~0~*2~$1~a~$1~b~"},
	"SCAN 0 TYPE list":               {"*2~$1~0~*0~"},
	"SCAN x":                         {"-ERR invalid cursor~"},
	"SCAN 0 COUNT x":                 {"-ERR value is not an integer or out of range~"},
	"SCAN 0 COUNT 0":                 {"-ERR syntax error~"},
	"SCAN 0 COUNT":                   {"-ERR syntax error~"},
	"SCAN 0 FOO x":                   {"-ERR syntax error~"},
	"DBSIZE":                         {":2~"},
	"FLUSHDB; DBSIZE":                {"+OK~:0~"},
	"FLUSHALL ASYNC; DBSIZE":         {"+OK~:0~"},
	"FLUSHDB SYNC":                   {"+OK~"},
	"FLUSHDB NOW":                    {"-ERR syntax error~"},

	"STATE.SAVE c {}":                  {"*2~:3~:1700000000123~"},
	"STATE.SAVE c {} FOUND":            {"*3~:3~:1700000000123~:0~"},
	"STATE.SAVE a {} found":            {"*3~:3~:1700000000123~:1~"},
	"STATE.SAVE a {} IFREV 1":          {"*2~:3~:1700000000123~"},
	"STATE.SAVE a {} IFREV 2":          {"-CONFLICT current_revision=1 agent \"a\" has revision 1, the condition was: revision 2~"},
	"STATE.SAVE a {} IFABSENT":         {"-CONFLICT current_revision=1 agent \"a\" has revision 1, the condition was: absent~"},
	"STATE.SAVE c {} IFEXISTS":         {"-CONFLICT current_revision=0 agent \"c\" does not exist, the condition was: exists~"},
	"STATE.SAVE a {} IFREV":            {"-ERR syntax error~"},
	"STATE.SAVE a {} IFREV x":          {"-ERR value is not an integer or out of range~"},
	"STATE.SAVE a {} IFREV 0":          {"-INVALID revision 0 is out of range: revisions start at 1~"},
	"STATE.SAVE a {} IFREV 1 IFEXISTS": {"-ERR syntax error~"},
	"STATE.SAVE a {} ORSKIP":           {"-ERR ORSKIP is allowed inside MULTI only~"},
	"STATE.SAVE a":                     {"-ERR wrong number of arguments for 'state.save' command~"},
	"STATE.LOAD a":                     {"*3~:1~:1700000000123~$7~{\"x\":1}~"},
	"STATE.LOAD none":                  {"*-1~", "_~"},
	"STATE.STAT a":                     {"*3~:1~:1700000000123~:7~"},
	"STATE.STAT none":                  {"*-1~", "_~"},
	"STATE.DELETE a":                   {"*2~:1~:3~"},
	"STATE.DELETE none":                {"*2~:0~:0~"},
	"STATE.DELETE a IFREV 1":           {"*2~:1~:3~"},
	"STATE.DELETE a IFREV 9":           {"-CONFLICT current_revision=1 agent \"a\" has revision 1, the condition was: revision 9~"},
	"STATE.DELETE a FOUND":             {"-ERR syntax error~"},
	"STATE.CHECK a 1":                  {"-ERR STATE.CHECK is allowed inside MULTI only~"},
	"STATE.LIST":                       {"*2~*4~$1~a~:1~:1700000000123~:7~*4~$1~b~:2~:1700000000123~:3~"},
	"STATE.LIST LIMIT 1":               {"*1~*4~$1~a~:1~:1700000000123~:7~"},
	"STATE.LIST AFTER a PREFIX b":      {"*1~*4~$1~b~:2~:1700000000123~:3~"},
	"STATE.LIST PREFIX c":              {"*0~"},
	"STATE.LIST LIMIT 0":               {"-INVALID limit 0 is out of range: 1 to 10000~"},
	"STATE.LIST LIMIT 10001":           {"-INVALID limit 10001 is out of range: 1 to 10000~"},
	"STATE.LIST LIMIT x":               {"-ERR value is not an integer or out of range~"},
	"STATE.LIST LIMIT":                 {"-ERR syntax error~"},
	"STATE.COUNT":                      {":2~"},
	"STATE.COUNT PREFIX a":             {":1~"},
	"STATE.COUNT a":                    {"-ERR syntax error~"},
	"STATE.CLEAR; STATE.LIST":          {"*2~:2~:3~*0~"},

	"MULTI; EXEC":                    {"+OK~*0~"},
	"EXEC":                           {"-ERR EXEC without MULTI~"},
	"DISCARD":                        {"-ERR DISCARD without MULTI~"},
	"MULTI; SET c 1; EXEC c; GET c":  {"+OK~+QUEUED~-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command~$-1~", "+OK~+QUEUED~-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command~_~"},
	"MULTI; MULTI; EXEC":             {"+OK~-ERR MULTI calls can not be nested~*0~"},
	"MULTI; SET c 1; DISCARD; GET c": {"+OK~+QUEUED~+OK~$-1~", "+OK~+QUEUED~+OK~_~"},
	"MULTI; SET c 1; GET c; MGET a none; EXEC": {"+OK~+QUEUED~+QUEUED~+QUEUED~*3~+OK~$1~1~*2~$7~{\"x\":1}~$-1~", "+OK~+QUEUED~+QUEUED~+QUEUED~*3~+OK~$1~1~*2~$7~{\"x\":1}~_~"},
	"MULTI; SETNX a 1; SET a 2 NX; SET c 1 XX; DEL a b; EXISTS a; STRLEN b; TYPE b; EXEC": {
		"+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*7~:0~$-1~$-1~:2~:0~:0~+none~",
		"+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*7~:0~_~_~:2~:0~:0~+none~",
	},
	"MULTI; GETSET a 1; MSET c 1 d 2; UNLINK d; EXEC": {"+OK~+QUEUED~+QUEUED~+QUEUED~*3~$7~{\"x\":1}~+OK~:1~"},
	"MULTI; STATE.SAVE a {} IFREV 1; STATE.LOAD a; STATE.STAT none; STATE.DELETE a; STATE.CHECK b 2; EXEC": {
		"+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*5~*2~:3~:1700000000123~*3~:3~:1700000000123~$2~{}~*-1~*2~:1~:4~+OK~",
		"+OK~+QUEUED~+QUEUED~+QUEUED~+QUEUED~+QUEUED~*5~*2~:3~:1700000000123~*3~:3~:1700000000123~$2~{}~_~*2~:1~:4~+OK~",
	},
	"MULTI; SET c 1; STATE.CHECK a 5; EXEC; EXISTS c": {"+OK~+QUEUED~+QUEUED~-CONFLICT current_revision=1 index=1 agent \"a\" has revision 1, the condition was: revision 5~:0~"},
	"MULTI; MSET c 1 d 2; STATE.CHECK a 5; EXEC":      {"+OK~+QUEUED~+QUEUED~-CONFLICT current_revision=1 index=1 agent \"a\" has revision 1, the condition was: revision 5~"},
	"MULTI; STATE.SAVE a {} IFABSENT ORSKIP; STATE.DELETE a IFREV 7 ORSKIP; STATE.CHECK a IFABSENT ORSKIP; EXEC": {
		"+OK~+QUEUED~+QUEUED~+QUEUED~*3~*-1~*-1~*-1~", "+OK~+QUEUED~+QUEUED~+QUEUED~*3~_~_~_~",
	},
	"MULTI; STATE.CHECK none IFABSENT; STATE.CHECK a IFEXISTS; STATE.CHECK a IFREV 1; EXEC": {"+OK~+QUEUED~+QUEUED~+QUEUED~*3~+OK~+OK~+OK~"},
	"MULTI; SET a bad; EXEC; GET b":                        {"+OK~-INVALID offset=0 state is not JSON at byte 0: invalid character 'b' looking for beginning of value~-EXECABORT Transaction discarded because of previous errors.~$3~[2]~"},
	"MULTI; foo; SET c 1; EXEC; EXISTS c":                  {"+OK~-ERR unknown command 'foo', with args beginning with: ~+QUEUED~-EXECABORT Transaction discarded because of previous errors.~:0~"},
	"MULTI; GET; EXEC":                                     {"+OK~-ERR wrong number of arguments for 'get' command~-EXECABORT Transaction discarded because of previous errors.~"},
	"MULTI; PING; EXEC":                                    {"+OK~-ERR Command not allowed inside a transaction~-EXECABORT Transaction discarded because of previous errors.~"},
	"MULTI; KEYS *; DISCARD":                               {"+OK~-ERR Command not allowed inside a transaction~+OK~"},
	"MULTI; STATE.CHECK a; EXEC":                           {"+OK~-ERR wrong number of arguments for 'state.check' command~-EXECABORT Transaction discarded because of previous errors.~"},
	"MULTI; WATCH a; EXEC":                                 {"+OK~-ERR WATCH inside MULTI is not allowed~*0~"},
	"WATCH a none; MULTI; SET a 1; SET none 2; EXEC":       {"+OK~+OK~+QUEUED~+QUEUED~*2~+OK~+OK~"},
	"WATCH a; SET a 1; MULTI; SET a 2; EXEC; GET a":        {"+OK~+OK~+OK~+QUEUED~*-1~$1~1~", "+OK~+OK~+OK~+QUEUED~_~$1~1~"},
	"WATCH none; SET none 1; WATCH none; MULTI; EXEC":      {"+OK~+OK~+OK~+OK~*-1~", "+OK~+OK~+OK~+OK~_~"},
	"WATCH a; SET a 1; UNWATCH; MULTI; GET a; EXEC":        {"+OK~+OK~+OK~+OK~+QUEUED~*1~$1~1~"},
	"WATCH a; SET a 1; MULTI; DISCARD; MULTI; GET a; EXEC": {"+OK~+OK~+OK~+OK~+OK~+QUEUED~*1~$1~1~"},
	"WATCH b a; MULTI; SET c 1; STATE.CHECK a 5; EXEC":     {"+OK~+OK~+QUEUED~+QUEUED~-CONFLICT current_revision=1 index=1 agent \"a\" has revision 1, the condition was: revision 5~"},
	`WATCH ""`: {"-INVALID the agent id is empty~"},
	"EXEC x":   {"-ERR wrong number of arguments for 'exec' command~"},
}

func TestCommands(t *testing.T) {
	for _, proto := range []string{"2", "3"} {
		for commands, want := range replies {
			t.Run("RESP"+proto+"/"+commands, func(t *testing.T) {
				t.Parallel()
				checkReply(t, proto, commands, want)
			})
		}
	}
}

func checkReply(t *testing.T, proto, commands string, want []string) {
	t.Helper()
	f := protocoltest.New()
	f.Put("a", `{"x":1}`)
	f.Put("b", `[2]`)
	_, addr := serve(t, f, resp.Options{})
	p := connect(t, addr)
	p.ask("HELLO " + proto)
	wire := want[0]
	if proto == "3" {
		wire = want[len(want)-1]
	}
	wire = strings.ReplaceAll(wire, "~", "\r\n")
	wire = strings.ReplaceAll(wire, "^", "~")
	got := p.ask(strings.ReplaceAll(commands, "; ", "\r\n"))
	if diff := cmp.Diff(wire, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHello(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{Version: "1.2.3"})
	p := connect(t, addr)
	want := "$6~server~$6~stated~$7~version~$5~1.2.3~$5~proto~:N~$2~id~:1~$4~mode~$10~standalone~$4~role~$6~master~$7~modules~*0~"
	for _, c := range [][2]string{{"HELLO", "*14~" + want}, {"HELLO 3 SETNAME me", "%7~" + want}, {"HELLO 2", "*14~" + want}} {
		proto := "2"
		if strings.Contains(c[0], "3") {
			proto = "3"
		}
		wire := strings.ReplaceAll(strings.Replace(c[1], ":N", ":"+proto, 1), "~", "\r\n")
		if diff := cmp.Diff(wire, p.ask(c[0])); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c[0], diff)
		}
	}
	if got := p.ask("CLIENT GETNAME"); got != "$2\r\nme\r\n" {
		t.Errorf("name: %q", got)
	}
}

func TestInfo(t *testing.T) {
	more := func() []resp.Section {
		return []resp.Section{{Name: "stated", Fields: []resp.Field{{Key: "store_id", Value: "x\ny"}}}, {Name: "store"}}
	}
	f := protocoltest.New()
	f.Put("a", "1")
	_, addr := serve(t, f, resp.Options{Version: "1.2.3", Info: more})
	_, port, _ := net.SplitHostPort(addr)
	p := connect(t, addr)
	all := p.ask("INFO")
	for _, line := range []string{
		"# Server\r\n", "redis_version:", "# Clients\r\nconnected_clients:1\r\n", "# Stats\r\n", "total_commands_processed:1\r\n",
		"# Memory\r\nused_memory:", "\r\nused_memory_human:", "\r\nused_memory_rss:", "\r\nmaxmemory:0\r\n",
		"# Persistence\r\nloading:0\r\n", "\r\naof_enabled:1\r\n", "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n",
		"# CPU\r\nused_cpu_sys:", "# Modules\r\n\r\n", "# Cluster\r\ncluster_enabled:0\r\n",
		"\r\nrun_id:", "\r\ntcp_port:" + port + "\r\n", "\r\narch_bits:64\r\n", "\r\nredis_mode:standalone\r\n",
		"# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n",
		"# Stated\r\nstated_version:1.2.3\r\nstore_id:x y\r\n", "# Store\r\n",
	} {
		if !strings.Contains(all, line) {
			t.Errorf("INFO has no %q:\n%s", line, all)
		}
	}
	if got := p.ask("INFO stated"); got != "$46\r\n# Stated\r\nstated_version:1.2.3\r\nstore_id:x y\r\n\r\n" {
		t.Errorf("INFO stated: %q", got)
	}
	p.ask("HELLO 3")
	if got := p.ask("INFO clients"); !strings.HasPrefix(got, "=") || !strings.Contains(got, "\r\ntxt:# Clients\r\n") {
		t.Errorf("RESP3: %q", got)
	}
}

// To count the agents may take long. Who asks for everything does not wait for it; who asks for nothing else does.
func TestInfo_keyspace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := protocoltest.New()
		f.Before = func(ctx context.Context, _ *protocol.Request) *protocol.Reply {
			<-ctx.Done()
			return &protocol.Reply{Err: protocol.Errorf(protocol.CodeOverloaded, "not in time")}
		}
		l := newPipeListener()
		serveOn(t, l, f, resp.Options{RequestTimeout: 10 * time.Second})
		p := newPeer(t, l.dial())
		for command, c := range map[string]struct {
			takes time.Duration
			says  string
		}{
			"INFO": {100 * time.Millisecond, "# Keyspace\r\n\r\n# Stated\r\n"}, "INFO all": {100 * time.Millisecond, "# Keyspace\r\n\r\n# Stated\r\n"},
			"INFO keyspace": {10 * time.Second, "-OVERLOADED not in time\r\n"}, "INFO server": {0, "# Server\r\n"},
		} {
			start := time.Now()
			if got := p.ask(command); !strings.Contains(got, c.says) || time.Since(start) != c.takes {
				t.Errorf("%s: after %v got %q", command, time.Since(start), got)
			}
		}
	})
}

func TestClientList(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	p, other := connect(t, addr), connect(t, addr)
	other.ask("CLIENT SETNAME other\r\nCLIENT SETINFO LIB-NAME lib\r\nWATCH a\r\nCLIENT ID")
	other.send("MULTI\r\nSET a 1\r\n")
	other.until("+QUEUED\r\n")
	list := p.ask("CLIENT LIST")
	for _, part := range []string{
		"addr=" + other.LocalAddr().String(), "laddr=" + addr, " name=other ", " flags=x ", " multi=1 watch=1 ",
		" cmd=set ", " lib-name=lib ", "addr=" + p.LocalAddr().String(), " cmd=client|list ", " resp=2 ", " multi=-1 ",
	} {
		if !strings.Contains(list, part) {
			t.Errorf("CLIENT LIST has no %q:\n%s", part, list)
		}
	}
	if one := p.ask("CLIENT LIST ID 1"); strings.Count(one, "id=") != 1 {
		t.Errorf("one client: %q", one)
	}
	if info := p.ask("CLIENT INFO"); !strings.Contains(info, "id=1 ") {
		t.Errorf("CLIENT INFO: %q", info)
	}
}

func TestTimeAndCommand(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	p := connect(t, addr)
	if got := p.ask("TIME"); !strings.HasPrefix(got, "*2\r\n$10\r\n") {
		t.Errorf("TIME: %q", got)
	}
	if got := p.ask("COMMAND COUNT"); !strings.HasPrefix(got, ":") {
		t.Errorf("COMMAND COUNT: %q", got)
	}
	for _, c := range []string{"COMMAND", "COMMAND INFO", "COMMAND DOCS"} {
		if got := p.ask(c); !strings.Contains(got, "state.save") || !strings.Contains(got, "unwatch") {
			t.Errorf("%s: %.200q", c, got)
		}
	}
}

func TestCommands_help(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	p := connect(t, addr)
	for command, line := range map[string]string{"CLIENT": "+ID\r\n", "COMMAND": "+COUNT\r\n", "CONFIG": "+GET pattern "} {
		if got := p.ask(command + " help"); !strings.HasPrefix(got, "*") || !strings.Contains(got, "\r\n"+line) {
			t.Errorf("%s: got %q", command, got)
		}
	}
}

func TestCommands_tooLong(t *testing.T) {
	f := protocoltest.New()
	f.Put("a", "1")
	_, addr := serve(t, f, resp.Options{})
	p := connect(t, addr)
	for command, want := range map[string]string{
		"KEYS " + strings.Repeat("a", 4097):                   "-INVALID too_large=1 the pattern has 4097 bytes, at most 4096 are allowed\r\n",
		"KEYS " + strings.Repeat("a", 4096):                   "*0\r\n",
		"SCAN 0 MATCH " + strings.Repeat("a", 4097):           "-INVALID too_large=1 the pattern has 4097 bytes, at most 4096 are allowed\r\n",
		"CONFIG GET " + strings.Repeat("a", 4097):             "-INVALID too_large=1 the pattern has 4097 bytes, at most 4096 are allowed\r\n",
		"CLIENT SETNAME " + strings.Repeat("a", 257):          "-ERR a client name has at most 256 bytes\r\n",
		"CLIENT SETNAME " + strings.Repeat("a", 256):          "+OK\r\n",
		"CLIENT SETINFO LIB-NAME " + strings.Repeat("a", 257): "-ERR lib-name has at most 256 bytes\r\n",
		"CLIENT SETINFO LIB-VER " + strings.Repeat("a", 257):  "-ERR lib-ver has at most 256 bytes\r\n",
		"HELLO 3 SETNAME " + strings.Repeat("a", 257):         "-ERR a client name has at most 256 bytes\r\n",
	} {
		if got := p.ask(command); got != want {
			t.Errorf("%.30s: got %q, want %q", command, got, want)
		}
	}
}

func TestQuit(t *testing.T) {
	_, addr := serve(t, protocoltest.New(), resp.Options{})
	p := connect(t, addr)
	p.send("SET a 1\r\nQUIT\r\nSET a 2\r\n")
	if got := p.rest(); got != "+OK\r\n+OK\r\n" {
		t.Errorf("got %q", got)
	}
}
