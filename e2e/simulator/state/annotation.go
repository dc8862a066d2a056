package state

import (
	"slices"
	"time"
)

// Annotation is text on a build's page.
type Annotation struct {
	UUID string `json:"uuid"`
	// Context tells a build's annotations apart. Default "default".
	Context string `json:"context"`
	Body    string `json:"body"` // Markdown
	// Style is "default", "info", "success", "warning" or "error".
	Style string `json:"style"`
	// Priority is 1, shown last, to 10, shown first. Default 3.
	Priority int `json:"priority"`
	// JobUUID is set for annotations of a job, not of the build.
	JobUUID   string    `json:"job_uuid,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

type annotation = Annotation

const (
	defaultContext  = "default"
	defaultPriority = 3
)

// Annotate adds an annotation to the build of uuid, which is the build's or one
// of its jobs'. One of the same context is replaced or, with extend, extended.
// A zero style or priority keeps what is there, or the default.
func (s *Store) Annotate(uuid string, wanted Annotation, extend bool) (Annotation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return Annotation{}, err
	}
	wanted.Context = orDefault(wanted.Context, defaultContext)
	if wanted.Style != "" && !slices.Contains([]string{"default", "info", "success", "warning", "error"}, wanted.Style) {
		return Annotation{}, unprocessable("unknown style %q; know default, info, success, warning and error", wanted.Style)
	}
	if wanted.Priority < 0 || wanted.Priority > 10 {
		return Annotation{}, unprocessable("priority %d is not between 1 and 10", wanted.Priority)
	}
	now := time.Now()
	a := b.annotation(wanted.Context, wanted.JobUUID)
	if a == nil {
		if wanted.Body == "" {
			return Annotation{}, unprocessable("an annotation needs a body")
		}
		if len(b.annotations) >= maxAnnotations {
			return Annotation{}, tooLarge("build %d has %d annotations; more are refused", b.number, maxAnnotations)
		}
		a = &annotation{UUID: newUUID(), Context: wanted.Context, JobUUID: wanted.JobUUID, Style: defaultContext, Priority: defaultPriority, CreatedAt: now}
		b.annotations = append(b.annotations, a)
	}
	body := wanted.Body
	if extend {
		body = a.Body + wanted.Body
	}
	if len(body) > maxBodyBytes {
		return Annotation{}, tooLarge("the annotation %q would have %d bytes; %d are the limit", a.Context, len(body), maxBodyBytes)
	}
	if wanted.Body != "" {
		a.Body = body
	}
	a.Style = orDefault(wanted.Style, a.Style)
	if wanted.Priority > 0 {
		a.Priority = wanted.Priority
	}
	a.UpdatedAt = now
	return *a, nil
}

func (b *build) annotation(context, jobUUID string) *annotation {
	for _, a := range b.annotations {
		if a.Context == context && a.JobUUID == jobUUID {
			return a
		}
	}
	return nil
}

// RemoveAnnotation removes the annotation of that context, if there is one. It
// is a 404 otherwise. jobUUID is empty for annotations of the build.
func (s *Store) RemoveAnnotation(uuid, context, jobUUID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return err
	}
	a := b.annotation(context, jobUUID)
	if a == nil {
		return notFound("no annotation with context %q", context)
	}
	b.annotations = slices.DeleteFunc(b.annotations, func(other *annotation) bool { return other == a })
	return nil
}

// Annotations returns a build's annotations, the most important first.
func (s *Store) Annotations(uuid string) ([]Annotation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return nil, err
	}
	result := make([]Annotation, 0, len(b.annotations))
	for _, a := range b.annotations {
		result = append(result, *a)
	}
	slices.SortStableFunc(result, func(a, b Annotation) int { return b.Priority - a.Priority })
	return result, nil
}
