package state

import (
	"cmp"
	"fmt"
	"slices"
)

// logbook is a job's log. Chunks arrive in any order and say where they belong.
type logbook struct {
	chunks []chunk // by offset
	size   int     // of all chunks
}

type chunk struct {
	offset int
	data   []byte
}

// add puts data at offset. The same chunk twice, as after a lost answer, is kept
// once. It reports whether there was room.
func (l *logbook) add(offset int, data []byte) bool {
	if len(data) == 0 {
		return true
	}
	at, found := slices.BinarySearchFunc(l.chunks, offset, func(c chunk, offset int) int { return cmp.Compare(c.offset, offset) })
	if found && len(l.chunks[at].data) >= len(data) {
		return true
	}
	if l.size+len(data) > maxLogBytes || offset > maxLogBytes {
		return false
	}
	l.size += len(data)
	l.chunks = slices.Insert(l.chunks, at, chunk{offset: offset, data: data})
	return true
}

// bytes returns the log in order, and says where something is missing.
func (l *logbook) bytes() []byte {
	result := make([]byte, 0, l.size)
	position := 0
	for _, c := range l.chunks {
		if c.offset > position {
			result = fmt.Appendf(result, "\n[%d bytes of the log have not arrived]\n", c.offset-position)
			position = c.offset
		}
		if seen := position - c.offset; seen < len(c.data) {
			result = append(result, c.data[seen:]...)
			position += len(c.data) - seen
		}
	}
	return result
}

// AddLog stores a piece of a job's log. It is a Problem when the job has no
// agent or the log is full.
func (s *Store) AddLog(jobUUID string, offset int, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	switch {
	case !ok:
		return notFound("No job found")
	case offset < 0:
		return unprocessable("offset %d is negative", offset)
	case j.token == "":
		return unprocessable("job %s is %s and has no log yet", j.uuid, j.state)
	case !j.log.add(offset, data):
		return tooLarge("the log of job %s is full: %d bytes are the simulator's limit", j.uuid, maxLogBytes)
	}
	return nil
}

// Log returns a job's log as the agent sent it.
func (s *Store) Log(jobUUID string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok {
		return nil, false
	}
	return j.log.bytes(), true
}
