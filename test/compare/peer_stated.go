package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/store"
)

// statedFile is the database in the folder of stated, which the daemon is measured on too.
const statedFile = "agents.db"

type statedPeer struct {
	store *store.Store
	actor *actor.Actor
}

func openStated(dir string, _ int) (peer, error) {
	s, err := store.Open(context.Background(), filepath.Join(dir, statedFile), store.Options{})
	if err != nil {
		return nil, err
	}
	return &statedPeer{s, actor.New(s, actor.Options{})}, nil
}

func (p *statedPeer) save(id string, state []byte) error {
	_, err := p.actor.Save(context.Background(), id, state)
	return err
}

func (p *statedPeer) load(id string) ([]byte, error) {
	reply, err := p.actor.Load(context.Background(), id)
	return reply.State, err
}

func (p *statedPeer) close() error {
	return errors.Join(p.actor.Close(context.Background()), p.store.Close())
}
