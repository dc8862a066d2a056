package state

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// States of artifacts.
const (
	artifactNew      = "new"
	artifactFinished = "finished"
)

// Artifact is a file that a job uploaded.
type Artifact struct {
	UUID        string    `json:"uuid"`
	Path        string    `json:"path"`
	State       string    `json:"state"`
	FileSize    int64     `json:"file_size"`
	SHA1        string    `json:"sha1sum"`
	SHA256      string    `json:"sha256sum,omitempty"`
	ContentType string    `json:"content_type,omitempty"`
	Destination string    `json:"upload_destination,omitempty"`
	JobUUID     string    `json:"job_uuid"`
	CreatedAt   time.Time `json:"created_at"`
	// URL is where it can be downloaded, or its place in another store.
	URL string `json:"url"`
}

type artifact struct {
	Artifact
	absolutePath, globPath string
	job                    *job
	batch                  string
	token                  string
	data                   []byte
}

// NewArtifact is a file that an agent is about to upload.
type NewArtifact struct {
	Path, AbsolutePath, GlobPath string
	SHA1, SHA256, ContentType    string
	URL                          string
	FileSize                     int64
}

// Upload says where the bytes of an artifact go.
type Upload struct {
	ArtifactUUID string
	// Path is below the simulator's own address.
	Path string
}

// CreateArtifacts announces a batch. The same batch again returns the same
// artifacts, because agents repeat what was not answered.
func (s *Store) CreateArtifacts(jobUUID, batch, destination string, files []NewArtifact) ([]Upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok {
		return nil, notFound("No job found")
	}
	if known := s.batch(j, batch); batch != "" && len(known) > 0 {
		return known, nil
	}
	uploads := make([]Upload, 0, len(files))
	for _, file := range files {
		a := &artifact{
			Artifact: Artifact{
				UUID: newUUID(), Path: file.Path, State: artifactNew, FileSize: file.FileSize, SHA1: file.SHA1, SHA256: file.SHA256,
				ContentType: file.ContentType, Destination: destination, JobUUID: jobUUID, CreatedAt: time.Now(), URL: file.URL,
			},
			absolutePath: file.AbsolutePath, globPath: file.GlobPath, job: j, batch: batch, token: newToken("upload"),
		}
		if a.URL == "" {
			a.URL = s.options.PublicURL + "/artifacts/" + a.UUID
		}
		s.artifacts[a.UUID] = a
		uploads = append(uploads, a.upload())
	}
	return uploads, nil
}

func (a *artifact) upload() Upload {
	return Upload{ArtifactUUID: a.UUID, Path: "/artifacts/" + a.UUID + "/upload/" + a.token}
}

func (s *Store) batch(j *job, batch string) []Upload {
	var result []Upload
	for _, uuid := range sortedKeys(s.artifacts) {
		if a := s.artifacts[uuid]; a.job == j && a.batch == batch {
			result = append(result, a.upload())
		}
	}
	return result
}

// StoreArtifact takes the bytes of an artifact. token is the end of Upload.Path.
func (s *Store) StoreArtifact(uuid, token string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.artifacts[uuid]
	if !ok || a.token != token {
		return notFound("no such upload")
	}
	more := int64(len(data) - len(a.data))
	if s.storedBytes+more > maxStoredBytes {
		return tooLarge("the simulator keeps %d bytes of artifacts and no more", maxStoredBytes)
	}
	s.storedBytes += more
	a.data = data
	return nil
}

// SetArtifactState notes how an upload went: "finished" or "error".
func (s *Store) SetArtifactState(jobUUID, uuid, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.artifacts[uuid]
	if !ok || a.job.uuid != jobUUID {
		return notFound("job %s has no artifact %q", jobUUID, uuid)
	}
	if a.Destination == "" && state == artifactFinished && int64(len(a.data)) != a.FileSize {
		return unprocessable("artifact %q has %d bytes, %d were announced", a.Path, len(a.data), a.FileSize)
	}
	a.State = state
	return nil
}

// ArtifactData returns an artifact and its bytes.
func (s *Store) ArtifactData(uuid string) (Artifact, []byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.artifacts[uuid]
	if !ok || a.State != artifactFinished {
		return Artifact{}, nil, false
	}
	return a.Artifact, a.data, true
}

// ArtifactSearch narrows a build's artifacts. Zero fields do not.
type ArtifactSearch struct {
	// Query is a path, in which * and ** stand for anything.
	Query string
	// Scope is a job's UUID or a step's key or label.
	Scope      string
	State      string
	Duplicates bool // else only the latest of each path
}

// SearchArtifacts returns the artifacts of the build of uuid, which is the
// build's or one of its jobs', oldest first.
func (s *Store) SearchArtifacts(uuid string, search ArtifactSearch) ([]Artifact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return nil, err
	}
	pattern, err := globPattern(search.Query)
	if err != nil {
		return nil, unprocessable("query %q: %v", search.Query, err)
	}
	var result []Artifact
	for _, id := range sortedKeys(s.artifacts) {
		a := s.artifacts[id]
		if a.job.build != b || !pattern.MatchString(a.Path) ||
			(search.State != "" && a.State != search.State) || !inScope(a.job, search.Scope) {
			continue
		}
		if !search.Duplicates {
			result = slices.DeleteFunc(result, func(other Artifact) bool { return other.Path == a.Path })
		}
		result = append(result, a.Artifact)
	}
	return result, nil
}

func inScope(j *job, scope string) bool {
	return scope == "" || slices.Contains([]string{j.uuid, j.step.Key, j.step.Label, j.step.uuid}, scope)
}

// globPattern turns a query into a pattern: a star matches slashes too.
func globPattern(query string) (*regexp.Regexp, error) {
	if query == "" {
		query = "*"
	}
	text := regexp.QuoteMeta(query)
	text = strings.ReplaceAll(text, `\*\*/`, `(?:.*/)?`)
	text = strings.ReplaceAll(text, `\*`, `.*`)
	text = strings.ReplaceAll(text, `\?`, `.`)
	return regexp.Compile(`^` + text + `$`)
}
