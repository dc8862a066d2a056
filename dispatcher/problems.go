package dispatcher

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// reminderInterval is how often a problem that stays is logged again.
const reminderInterval = time.Minute

// problems logs each distinct problem once, and then once a minute while it
// stays, and knows whether there is one.
type problems struct {
	log *slog.Logger

	mu     sync.Mutex
	active map[string]activeProblem
}

type activeProblem struct {
	area   string
	since  time.Time
	logged time.Time
}

func newProblems(log *slog.Logger) *problems {
	return &problems{log: log, active: map[string]activeProblem{}}
}

// report notes the state of an area ("source", "cluster"): nil means that it
// works, and ends all its problems.
func (p *problems) report(area string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := problemKind(err)
	for key, problem := range p.active {
		if problem.area == area && (err == nil || key != area+"/"+kind) {
			delete(p.active, key)
			if err == nil {
				p.log.Info("problem is over", slog.String("problem", key), slog.Duration("after", time.Since(problem.since).Round(time.Second)))
			}
		}
	}
	if err != nil {
		p.note(area, area+"/"+kind, err)
	}
}

// note logs the problem if it is new or was last logged a while ago.
func (p *problems) note(area, key string, err error) {
	now := time.Now()
	problem, known := p.active[key]
	if !known {
		problem = activeProblem{area: area, since: now}
	}
	if !known || now.Sub(problem.logged) >= reminderInterval {
		problem.logged = now
		p.log.Error("problem", slog.String("problem", key), slog.Any("error", err), slog.Duration("for", now.Sub(problem.since).Round(time.Second)))
	}
	p.active[key] = problem
}

// any returns the key of a problem that is not over, or "".
func (p *problems) any() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := ""
	for key := range p.active {
		if first == "" || key < first {
			first = key
		}
	}
	return first
}

// areas returns the areas with a problem that is not over.
func (p *problems) areas() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	areas := map[string]bool{}
	for _, problem := range p.active {
		areas[problem.area] = true
	}
	return slices.Sorted(maps.Keys(areas))
}

// problemKind tells problems of an area apart. Errors that are no Problem have
// texts with ports and times in them, so they count as one.
func problemKind(err error) string {
	var problem *Problem
	switch {
	case err == nil:
		return ""
	case errors.As(err, &problem):
		return problem.Kind
	default:
		return "error"
	}
}
