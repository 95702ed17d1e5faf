package resp

import "github.com/stated/stated/protocol/auth"

// AppendCommand lets the external tests write what the client writes.
var AppendCommand = appendCommand

// Command is an entry of the table of commands, or a subcommand.
type Command struct {
	Name                                      string // of a subcommand: client|list
	Arity                                     int
	Role                                      auth.Role
	NoAuth, Multi, Control, Writes, Reads     bool
	Family, Args, Summary, Cost, Reply, Error string
}

// Commands gives the table of commands, in the order of their names, each with its subcommands behind it.
func Commands() (all []Command) {
	for _, s := range newTable().sorted() {
		all = append(all, exportSpec(s))
		for i := range s.subs {
			all = append(all, exportSpec(&s.subs[i]))
		}
	}
	return all
}

func exportSpec(s *spec) Command {
	has := func(f flags) bool { return s.flags&f != 0 }
	return Command{
		Name: s.name, Arity: s.arity, Role: s.role,
		NoAuth: has(flagNoAuth), Multi: has(flagMulti), Control: has(flagControl), Writes: has(flagWrite), Reads: has(flagRead),
		Family: s.family, Args: s.args, Summary: s.summary, Cost: s.cost(), Reply: s.reply, Error: s.errors,
	}
}

// Underrate makes a mistake in the table of commands of a server: anybody may run this one.
func (s *Server) Underrate(name string) { s.table[name].role = auth.RoleRead }

// Relieve does what the timer does where a goroutine that reads has been performing for a while: another one reads on.
func (s *Server) Relieve() {
	for _, c := range s.clients() {
		go c.relieve() // reads until it is relieved itself, or the connection ends
	}
}
