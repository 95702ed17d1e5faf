package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store/sqlite"
	"golang.org/x/sys/unix"
)

// Open opens the SQLite file at path for this process alone to write through stated, creates it when it is not there,
// and adopts a file with a fitting table agent_state in place. It blocks while other processes hold the file's lock,
// within the retry budget.
//
// It returns UNAVAILABLE, with the owner's process id, when another store has the file open; INVALID when the path or
// the file cannot be used, which then is left untouched; CORRUPT also when the log that a crash has left is damaged, so that
// committed changes are lost; LOCKED, READONLY or IO as the file has it.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s, err := newStore(path, o)
	if err != nil {
		return nil, err
	}
	if err := s.refuseLosses(ctx); err != nil {
		return nil, err
	}
	if err := s.refuseForeign(ctx); err != nil {
		return nil, openError(s.path, err)
	}
	if s.owner, err = own(s.path); err != nil {
		return nil, err
	}
	err = s.touch()
	if err == nil {
		err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "open", func() error { return s.openFile(ctx) })
	}
	if err == nil {
		err = s.copyUnseen(ctx)
	}
	if err == nil {
		err = s.countLog(ctx)
	}
	if err == nil {
		err = s.openReaders(ctx)
	}
	if err == nil && s.opts.HotBytes > 0 {
		s.hot = newHot(s.opts.HotBytes)
		err = s.connectHot(ctx)
	}
	if err == nil {
		err = s.wal.connect(ctx, s)
	}
	if err == nil {
		err = errors.Join(s.owner.holds(s.id), s.owner.pipelines(s.pipe.on))
	}
	if what := networkFileSystem(s.path); what != "" {
		s.log.Warn().Str("path", s.path).Str("file_system", what).
			Msg("the file is on a file system of another machine, where locks and shared memory cannot be relied on: keep it on a local disk")
	}
	if err != nil {
		return nil, errors.Join(openError(s.path, err), s.Close())
	}
	ctx, s.stop = context.WithCancel(background)
	s.maintained.Go(func() { s.maintain(ctx) })
	return s, nil
}

// OpenReadOnly opens the file at path for reading, beside whoever owns it. It never creates, adopts or converts
// anything; Apply gives READONLY.
func OpenReadOnly(ctx context.Context, path string, o Options) (*Store, error) {
	s, err := newStore(path, o)
	if err != nil {
		return nil, err
	}
	s.readOnly, s.reading = true, accessInspect
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		return nil, protocol.Errorf(protocol.CodeInvalid, "%s does not exist", s.path)
	}
	if err := s.refuseLosses(ctx); err != nil {
		return nil, err
	}
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "open", func() error {
		kind, err := s.look(ctx)
		if err == nil && kind == fileEmpty {
			err = refuse(s.path, "it has no table agent_state")
		}
		s.adopted = kind == fileStated
		return err
	})
	if err == nil {
		err = s.openReaders(ctx)
	}
	if err != nil {
		return nil, errors.Join(openError(s.path, err), s.Close())
	}
	return s, nil
}

func newStore(path string, o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, log: o.Logger, path: path, adopted: true, reading: accessRead,
		readers: make(chan *reader, o.Readers), closed: make(chan struct{}), wake: make(chan struct{}, 1), stop: func() {}}
	s.health.now.Store(&Health{State: StateOK})
	s.pipe.on, s.pipe.failing = o.Commits == CommitsPipelined, s.syncFailed
	// Ordinary locks of this process on the file would be dropped when any code in it opens and closes the file.
	if err := sqlite.UseOFDLocks(); err != nil {
		s.log.Warn().Err(err).Msg("open file description locks are not available: no code in this process may open the database file by itself")
	}
	return s, nil
}

func openError(path string, err error) error {
	if isNotDatabase(err) {
		return refuse(path, "it is not a SQLite database")
	}
	if isWrongSQL(err) { // our statements are right, so it is the file: its format, or what our table has become
		return refuse(path, "SQLite cannot use its format or its schema: it may be damaged, or of a newer version (SQLite result code %d)",
			resultCode(err))
	}
	e := *protocol.AsError(translate(err))
	if !strings.Contains(e.Message, path) {
		e.Message = path + ": " + e.Message
		if readOnlyFileSystem(path) && e.Code == protocol.CodeIO {
			e.Code, e.Message = protocol.CodeReadOnly, path+": its file system is mounted read-only, and SQLite needs to write beside it even to read"
		} else if e.Code == protocol.CodeReadOnly || e.Code == protocol.CodeIO {
			e.Message += "; look at the permissions of the file and of its folder, in which SQLite keeps -wal and -shm"
		}
	}
	return &e
}

// refuseForeign looks at a file that is there before anything is put beside it. A lock that is held at the moment is no
// reason: openFile looks again.
func (s *Store) refuseForeign(ctx context.Context) error {
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := s.look(ctx); err != nil && !isLocked(err) {
		return err
	}
	return nil
}

// smallestDB is the size of the smallest page: no database but the empty file is shorter.
const smallestDB = 512

// look inspects the file through a connection that can change nothing. What a crashed writer has left unfinished needs
// one that can, since SQLite finishes it before anybody can read; that one makes no changes of its own.
func (s *Store) look(ctx context.Context) (kind fileKind, err error) {
	if n := sizeOf(s.path); n > 0 && n < smallestDB {
		return 0, refuse(s.path, "it is not a SQLite database") // SQLite would take so short a text for an empty file
	}
	kind, err = s.lookThrough(ctx, accessInspect)
	if isLeftover(err) {
		s.reading = accessRead
		kind, err = s.lookThrough(ctx, accessRead)
	}
	return kind, err
}

func (s *Store) lookThrough(ctx context.Context, a access) (kind fileKind, err error) {
	c, err := s.opts.open(ctx, s.path, a)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return inspect(ctx, c, s.path)
}

// openFile looks at the file, makes it ours, and leaves the writer's connection open. It may be repeated after a lock.
func (s *Store) openFile(ctx context.Context) error {
	kind, err := s.look(ctx)
	if err != nil {
		return err
	}
	c, err := s.opts.open(ctx, s.path, accessWrite)
	if err != nil {
		return err
	}
	if c.ReadOnly() {
		err = s.notWritable()
	} else {
		err = prepareFile(ctx, c, s.path, kind)
	}
	if err = errors.Join(err, c.close()); err != nil {
		return err
	}
	return s.openWriter(ctx)
}

// notWritable is the error of a file that SQLite can only read.
func (s *Store) notWritable() error {
	if unix.Access(s.path, unix.W_OK) == nil { // so its header forbids it (https://www.sqlite.org/fileformat2.html#file_format_version_numbers)
		return refuse(s.path, "SQLite may only read its format: it may be damaged, or of a newer version")
	}
	return protocol.Errorf(protocol.CodeReadOnly, "%s cannot be written: check its permissions", s.path)
}

// openWriter connects the writer and learns what the file holds.
func (s *Store) openWriter(ctx context.Context) error {
	c, err := s.opts.open(ctx, s.path, accessWrite)
	if err != nil {
		return err
	}
	w, err := newWriter(c, s.opts.ReplyBytes)
	if err == nil {
		err = s.begin(ctx, w)
	}
	if err == nil { // from here on, await does the waiting
		c.SetLockTimeout(0)
	}
	if err != nil {
		return errors.Join(err, c.close())
	}
	s.w = w
	return nil
}

// begin reads what the writer has to know before its first transaction. The read also makes SQLite open the
// write-ahead log, so that there is a file to remember.
func (s *Store) begin(ctx context.Context, w *writer) error {
	// SQLite takes a file for one with a log if its header says so or if a log lies beside it. Where the header has lost
	// that, the log was gone with the connection before.
	if err := useLog(ctx, w.conn, s.path); err != nil {
		return err
	}
	row, _, err := w.conn.row(ctx, "SELECT store_id FROM stated_meta WHERE id = 1")
	if err != nil {
		return err
	}
	if err := s.sameHistory(row); err != nil {
		return err
	}
	if _, err = w.catchUp(ctx, s.path, s.highest); err != nil {
		return err
	}
	s.highest = w.base
	if s.pageSize == 0 { // only in Open
		if s.pageSize, err = w.conn.number("PRAGMA page_size"); err != nil {
			return err
		}
	}
	is, err := identify(s.path)
	if err != nil {
		return err
	}
	s.identity = is
	// SQLite does that too, with the first commit, but goes on when it fails; a power cut could then take the name of
	// the log away, and with it all that was committed into it.
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	if s.opts.Durability != DurabilityFull {
		return nil
	}
	return s.settleLog(ctx, w)
}

// sameHistory notes the store's id, and refuses another one later: then the file was replaced in place.
func (s *Store) sameHistory(row []any) error {
	id := ""
	if len(row) == 1 {
		id, _ = row[0].(string)
	}
	if s.id == "" { // only in Open, before anybody shares the store
		s.id = id
	}
	if s.id != id {
		return protocol.Errorf(protocol.CodeUnavailable, "%s has become another store (its id was %s, is %s): restart", s.path, s.id, id)
	}
	return nil
}
