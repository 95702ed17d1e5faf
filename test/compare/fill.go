package main

import (
	"bufio"
	"fmt"
	"net"
)

// fill writes every agent through one connection: the commands in one piece, the answers behind them.
func (s *server) fill(agents int) (err error) {
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // all answers have come
	states := newStates(seeded(0))
	sent := make(chan error, 1)
	go func() {
		out := bufio.NewWriter(conn)
		for i := range agents {
			id, state := agentID(i), states[i%len(states)]
			_, _ = fmt.Fprintf(out, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(id), id, len(state), state) // Flush tells
		}
		sent <- out.Flush()
	}()
	in := bufio.NewReader(conn)
	for range agents {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if line != "+OK\r\n" {
			return fmt.Errorf("it says %q", line)
		}
	}
	return <-sent
}
