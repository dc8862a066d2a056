package fault

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// maxFaults bounds the script.
const maxFaults = 10_000

// Script holds faults; the first one that is about a request happens to it. The
// zero value is ready to use.
type Script struct {
	mu     sync.Mutex
	last   int
	faults []*Fault
	done   []*Fault // removed, or over: kept for their counts
}

// Add appends faults and returns them with their IDs. One that makes no sense is
// a Problem, and then none is added.
func (s *Script) Add(faults []Fault) ([]Fault, error) {
	for i := range faults {
		if err := faults[i].check(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	if len(s.faults)+len(faults) > maxFaults {
		return nil, &state.Problem{Status: http.StatusUnprocessableEntity, Message: "fault: too many are waiting to happen; remove some"}
	}
	added := make([]Fault, 0, len(faults))
	for _, f := range faults {
		s.last++
		f.ID, f.Seen, f.Hits = strconv.Itoa(s.last), 0, 0
		s.faults = append(s.faults, &f)
		added = append(added, f)
	}
	return added, nil
}

// settle puts those that are over aside and drops the oldest of them.
func (s *Script) settle() {
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool {
		over := f.Count > 0 && f.Hits >= f.Count
		if over {
			s.done = append(s.done, f)
		}
		return over
	})
	if over := len(s.done) - maxFaults; over > 0 {
		s.done = slices.Delete(s.done, 0, over)
	}
}

// List returns all faults, those that are over first, with their counts.
func (s *Script) List() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := make([]Fault, 0, len(s.done)+len(s.faults))
	for _, f := range slices.Concat(s.done, s.faults) {
		result = append(result, *f)
	}
	return result
}

// Remove ends the fault of that ID; with an empty one, all. Their counts stay.
func (s *Script) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool {
		if id != "" && f.ID != id {
			return false
		}
		s.done = append(s.done, f)
		return true
	})
}

// claim returns a copy of the fault that happens to a request, and counts it
// already: of two requests at once only one gets the last.
func (s *Script) claim(api, operation string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !f.about(api, operation) {
			continue
		}
		f.Seen++
		if f.Seen <= f.Skip || (f.Probability > 0 && rand.Float64() >= f.Probability) {
			continue
		}
		f.Hits++
		return *f, true
	}
	return Fault{}, false
}

// unclaim takes back a hit of a fault that found nothing to spoil.
func (s *Script) unclaim(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range slices.Concat(s.done, s.faults) {
		if f.ID == id {
			f.Hits--
		}
	}
}
