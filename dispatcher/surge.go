package dispatcher

import (
	"strings"
	"sync"
	"time"
)

const (
	// surgeJobs different jobs that fail alike within surgeWindow are no
	// accident of their authors'.
	surgeJobs   = 3
	surgeWindow = time.Minute
	// maxSurges bounds what is remembered.
	maxSurges = 1000
)

// surges finds causes that fail one job after the other, such as a registry
// that refuses everybody.
type surges struct {
	mu   sync.Mutex
	seen map[string]map[string]time.Time
}

// note tells of a job that fails, and reports whether it is one of many.
func (s *surges) note(trouble *Trouble, uuid string) bool {
	if !mayBePlatforms[trouble.Cause] {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.forget(now)
	kind := trouble.Cause + " " + hostOf(trouble.Image)
	if s.seen[kind] == nil {
		s.seen[kind] = map[string]time.Time{}
	}
	s.seen[kind][uuid] = now
	return len(s.seen[kind]) >= surgeJobs
}

func (s *surges) forget(now time.Time) {
	if s.seen == nil || len(s.seen) > maxSurges {
		s.seen = map[string]map[string]time.Time{}
	}
	for kind, jobs := range s.seen {
		for uuid, when := range jobs {
			if now.Sub(when) > surgeWindow {
				delete(jobs, uuid)
			}
		}
		if len(jobs) == 0 {
			delete(s.seen, kind)
		}
	}
}

// mayBePlatforms are causes that look like an author's mistake when a part of
// the platform is broken.
var mayBePlatforms = map[string]bool{
	CauseImageMissing: true, CauseImageForbidden: true, CauseImageLimit: true, CauseImagePull: true,
	CauseContainerConfig: true, CauseContainerCreate: true, CausePending: true, CauseNodeRefused: true,
}

// hostOf is an image's registry.
func hostOf(image string) string {
	host, _, found := strings.Cut(image, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "docker.io"
	}
	return host
}
