package buildkite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

const (
	// noteInterval is the shortest time between two annotations of a build.
	noteInterval = time.Minute
	// maxNoteBytes is a tenth of what Buildkite takes.
	maxNoteBytes = 100 << 10
	// maxNotes bounds how many builds' annotations are remembered.
	maxNotes = 10_000
	// deniedInterval is how long REST is not tried after it was refused: tokens
	// need not have its scopes.
	deniedInterval = time.Hour
	// overBody replaces an annotation that cannot be removed.
	overBody = "The jobs of this build no longer wait for the cluster."
)

// notes remembers the annotations that this program has made.
type notes struct {
	mu sync.Mutex
	// made are the latest by build.
	made map[string]*buildNotes
	// denied is when REST was last refused.
	denied time.Time
}

type buildNotes struct {
	last time.Time
	// by context
	notes map[string]madeNote
}

type madeNote struct {
	uuid string
	note dispatcher.Note
}

// Annotate implements dispatcher.Annotator. The same note again costs nothing;
// another note of the same build within a minute is refused with a Problem that
// says when to come back.
func (c *Client) Annotate(ctx context.Context, build dispatcher.BuildRef, note dispatcher.Note) error {
	if err := c.notes.claim(build, note, time.Now()); err != nil {
		if errors.Is(err, errSameNote) {
			return nil
		}
		return err
	}
	uuid, err := c.annotate(ctx, build, note)
	if err != nil {
		c.notes.forget(build, note.Context)
		return fmt.Errorf("annotate build %s: %w", build.UUID, err)
	}
	c.notes.keep(build, madeNote{uuid: uuid, note: note})
	return nil
}

// Remove implements dispatcher.Annotator. GraphQL cannot remove an annotation,
// so REST does if the token has its scopes; else a line that all is over takes
// the annotation's place.
func (c *Client) Remove(ctx context.Context, build dispatcher.BuildRef, noteContext string) error {
	made, isMade := c.notes.of(build, noteContext)
	over := dispatcher.Note{Context: noteContext, Style: dispatcher.NoteInfo, Body: overBody}
	if isMade && made.note == over {
		return nil
	}
	if !isMade {
		// Made by another leader, if at all. Replacing it tells its UUID.
		uuid, err := c.annotate(ctx, build, over)
		if err != nil {
			return fmt.Errorf("remove annotation of build %s: %w", build.UUID, err)
		}
		made = madeNote{uuid: uuid, note: over}
		c.notes.keep(build, made)
	}
	if c.remove(ctx, build, made.uuid) {
		c.notes.forget(build, noteContext)
		return nil
	}
	if made.note == over {
		return nil
	}
	uuid, err := c.annotate(ctx, build, over)
	if err != nil {
		return fmt.Errorf("remove annotation of build %s: %w", build.UUID, err)
	}
	c.notes.keep(build, madeNote{uuid: uuid, note: over})
	return nil
}

// annotate makes or replaces an annotation and returns its UUID.
func (c *Client) annotate(ctx context.Context, build dispatcher.BuildRef, note dispatcher.Note) (string, error) {
	if err := c.budget.wait(ctx); err != nil {
		return "", err
	}
	body := note.Body
	if len(body) > maxNoteBytes {
		body = strings.ToValidUTF8(body[:maxNoteBytes], "") + "…"
	}
	var answer *annotateBuildResponse
	err := c.request(ctx, func(ctx context.Context) (err error) {
		answer, err = annotateBuild(ctx, c.graphql, globalID("Build", build.UUID), note.Context, styleOf(note.Style), body)
		return err
	})
	if err != nil {
		return "", err
	}
	if answer.BuildAnnotate == nil || answer.BuildAnnotate.Annotation == nil {
		return "", &dispatcher.Problem{Kind: "no-annotation", Advice: "Buildkite answered without the annotation"}
	}
	return answer.BuildAnnotate.Annotation.Uuid, nil
}

func styleOf(style string) AnnotationStyle {
	switch style {
	case dispatcher.NoteInfo:
		return AnnotationStyleInfo
	case dispatcher.NoteWarning:
		return AnnotationStyleWarning
	case dispatcher.NoteError:
		return AnnotationStyleError
	default:
		return AnnotationStyleDefault
	}
}

// remove deletes an annotation by REST and reports whether it is gone.
func (c *Client) remove(ctx context.Context, build dispatcher.BuildRef, uuid string) bool {
	path, isKnown := buildPath(build.URL, c.settings.Organization)
	if !isKnown || uuid == "" || c.notes.isDenied(time.Now()) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.RequestTimeout)
	defer cancel()
	address := strings.TrimRight(c.settings.RESTEndpoint, "/") + path + "/annotations/" + url.PathEscape(uuid)
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, http.NoBody)
	if err != nil {
		return false
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.log.Debug("annotation could not be removed", "build", build.URL, "error", err)
		return false
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		c.notes.deny(time.Now())
		return false
	default:
		return response.StatusCode < http.StatusMultipleChoices
	}
}

// buildPath returns a build's path in REST, from its page's address:
// https://buildkite.com/ORGANIZATION/PIPELINE/builds/NUMBER
func buildPath(address, organization string) (string, bool) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", false
	}
	parts := strings.Split(strings.Trim(parsed.Path, "/"), "/")
	if len(parts) < 4 || parts[0] != organization || parts[2] != "builds" || !isNumber(parts[3]) {
		return "", false
	}
	return "/organizations/" + url.PathEscape(organization) + "/pipelines/" + url.PathEscape(parts[1]) + "/builds/" + url.PathEscape(parts[3]), true
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil
}

// errSameNote says that there is nothing to do.
var errSameNote = errors.New("the build has this annotation")

// claim takes the build's turn for a note.
func (n *notes) claim(build dispatcher.BuildRef, note dispatcher.Note, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.made == nil {
		n.made = map[string]*buildNotes{}
	}
	made := n.made[build.UUID]
	if made == nil {
		n.makeRoom(now)
		made = &buildNotes{notes: map[string]madeNote{}}
		n.made[build.UUID] = made
	}
	if before, isMade := made.notes[note.Context]; isMade && before.note == note {
		return errSameNote
	}
	if wait := noteInterval - now.Sub(made.last); !made.last.IsZero() && wait > 0 {
		return &dispatcher.Problem{Kind: "annotations", Advice: "a build is annotated once a minute at most", RetryAfter: wait}
	}
	made.last = now
	return nil
}

// makeRoom forgets builds of which nothing was said for long, or any at last.
func (n *notes) makeRoom(now time.Time) {
	for uuid, made := range n.made {
		if len(n.made) < maxNotes {
			return
		}
		if now.Sub(made.last) > noteInterval {
			delete(n.made, uuid)
		}
	}
}

func (n *notes) keep(build dispatcher.BuildRef, made madeNote) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.made == nil {
		n.made = map[string]*buildNotes{}
	}
	all := n.made[build.UUID]
	if all == nil {
		all = &buildNotes{notes: map[string]madeNote{}}
		n.made[build.UUID] = all
	}
	all.notes[made.note.Context] = made
}

func (n *notes) of(build dispatcher.BuildRef, noteContext string) (madeNote, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.made[build.UUID]
	if all == nil {
		return madeNote{}, false
	}
	made, isMade := all.notes[noteContext]
	return made, isMade
}

func (n *notes) forget(build dispatcher.BuildRef, noteContext string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if all := n.made[build.UUID]; all != nil {
		delete(all.notes, noteContext)
	}
}

func (n *notes) deny(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.denied = now
}

func (n *notes) isDenied(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.denied.IsZero() && now.Sub(n.denied) < deniedInterval
}
