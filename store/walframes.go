package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
)

const (
	logHeader = 32         // bytes in front of the first page of a log
	logMagic  = 0x377f0682 // or one more, for checksums over big-endian words
)

// logReader reads a write-ahead log page by page (https://www.sqlite.org/fileformat2.html#walformat).
type logReader struct {
	from     io.ReaderAt
	pageSize int64 // 0 when the header cannot be used
	blank    bool  // then: nothing has been written yet
	salts    uint64
	order    binary.ByteOrder
	sum      [2]uint32 // the checksum that the last page has stored
	frame    []byte
	err      error

	frames int   // pages read so far
	over   bool  // there was no further page
	fits   bool  // the last page follows the one before it, by its checksum
	ours   bool  // it was written since the log was begun anew
	commit bool  // it is the last one of a transaction
	sound  int   // pages up to the last commit that can be used
	end    int64 // byte where those end
}

func newLogReader(f *os.File) (*logReader, error) {
	header := make([]byte, logHeader)
	n, err := f.ReadAt(header, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	l := &logReader{from: f, end: logHeader, order: binary.LittleEndian, salts: binary.BigEndian.Uint64(header[16:])}
	magic, size := binary.BigEndian.Uint32(header), int64(binary.BigEndian.Uint32(header[8:]))
	if magic&1 != 0 {
		l.order = binary.BigEndian
	}
	l.sum = checksum(l.order, [2]uint32{}, header[:24])
	if n == logHeader && magic&^1 == logMagic && l.sum == pair(header[24:]) && size >= 512 && size <= 65536 && size&(size-1) == 0 {
		l.pageSize, l.frame = size, make([]byte, frameHeader+size)
		return l, nil
	}
	l.end = 0
	if n < logHeader {
		l.blank = true
		return l, nil
	}
	l.blank, err = isBlank(io.NewSectionReader(f, 0, math.MaxInt64))
	return l, err
}

// next reads the next page; there may be half of one at the end.
func (l *logReader) next() bool {
	if _, err := l.from.ReadAt(l.frame, l.offset()); err != nil {
		if !errors.Is(err, io.EOF) {
			l.err = err
		}
		l.over = true
		return false
	}
	l.frames++
	l.ours = binary.BigEndian.Uint64(l.frame[8:]) == l.salts
	l.commit = binary.BigEndian.Uint32(l.frame[4:]) != 0
	sum := checksum(l.order, checksum(l.order, l.sum, l.frame[:8]), l.frame[frameHeader:])
	l.sum = pair(l.frame[16:])
	l.fits = l.ours && sum == l.sum && binary.BigEndian.Uint32(l.frame) != 0
	return true
}

// copyHeader writes the header to where it belongs.
func (l *logReader) copyHeader(to io.WriterAt) error {
	header := make([]byte, logHeader)
	_, err := l.from.ReadAt(header, 0)
	if err == nil {
		_, err = to.WriteAt(header, 0)
	}
	return err
}

// offset is the byte where the next page begins.
func (l *logReader) offset() int64 { return logHeader + int64(l.frames)*(l.pageSize+frameHeader) }

// checksum goes on with SQLite's checksum over 8-byte pieces of b.
func checksum(order binary.ByteOrder, s [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		s[0] += order.Uint32(b) + s[1]
		s[1] += order.Uint32(b[4:]) + s[0]
	}
	return s
}

// pair reads a checksum, which is stored big-endian whatever it was made over.
func pair(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// isBlank reports whether there is nothing but zeros: space that was taken, and a power cut before it was used.
func isBlank(r io.Reader) (bool, error) {
	b := make([]byte, 64<<10)
	for {
		n, err := r.Read(b)
		if len(bytes.Trim(b[:n], "\x00")) > 0 {
			return false, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return true, err
		}
	}
}
