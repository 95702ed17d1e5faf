package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

var bucket = []byte("agents")

type bboltPeer struct{ db *bolt.DB }

func openBbolt(dir string, clients int) (peer, error) {
	db, err := bolt.Open(filepath.Join(dir, "bolt.db"), 0o600, &bolt.Options{
		NoFreelistSync: true, FreelistType: bolt.FreelistMapType,
	})
	if err != nil {
		return nil, err
	}
	// Full when every caller is in it. Smaller ones, and other delays, were slower or no faster.
	db.MaxBatchSize = clients
	db.MaxBatchDelay = time.Millisecond
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	return &bboltPeer{db}, err
}

func (p *bboltPeer) save(id string, state []byte) error {
	return p.db.Batch(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put([]byte(id), state) })
}

func (p *bboltPeer) load(id string) (state []byte, err error) {
	err = p.db.View(func(tx *bolt.Tx) error {
		state = bytes.Clone(tx.Bucket(bucket).Get([]byte(id)))
		if state == nil {
			return fmt.Errorf("no agent %q", id)
		}
		return nil
	})
	return state, err
}

func (p *bboltPeer) close() error { return p.db.Close() }
