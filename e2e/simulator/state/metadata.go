package state

import (
	"maps"
	"regexp"
	"strings"
)

// commitKey is the meta-data in which the agent tells of the commit that it has
// checked out. The first job of a build sends it; later ones, and those of a build
// whose commit Buildkite knew, need not. Source: internal/job/checkout_metadata.go
// of github.com/buildkite/agent v3.138.1.
const commitKey = "buildkite:git:commit"

// fullCommit is a commit's whole name, of SHA-1 or SHA-256.
var fullCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// commitIsResolved tells whether the build's commit is a full name and what it says
// is known, which is what BUILDKITE_COMMIT_RESOLVED means. Source: the page
// "Environment variables" of Buildkite's documentation.
func (b *build) commitIsResolved() bool {
	return fullCommit.MatchString(b.commit) && b.metaData[commitKey] != ""
}

// resolveCommit puts the commit that was checked out in the place of a name such as
// HEAD, so that later jobs of the build run the same.
func (b *build) resolveCommit() {
	first, _, _ := strings.Cut(b.metaData[commitKey], "\n")
	if commit := strings.TrimPrefix(first, "commit "); !fullCommit.MatchString(b.commit) && fullCommit.MatchString(commit) {
		b.commit = commit
	}
}

// scoped finds the build that meta-data and artifacts are meant for, by the UUID
// of the build or of one of its jobs.
func (s *Store) scoped(uuid string) (*build, error) {
	if b, ok := s.buildByUUID[uuid]; ok {
		return b, nil
	}
	if j, ok := s.jobByUUID[uuid]; ok {
		return j.build, nil
	}
	return nil, notFound("No build or job found")
}

// SetMetaData stores a build's meta-data; uuid is the build's or a job's.
func (s *Store) SetMetaData(uuid string, values map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return err
	}
	for key, value := range values {
		switch {
		case key == "":
			return unprocessable("meta-data needs a key")
		case value == "":
			return unprocessable("meta-data %q needs a value", key)
		case len(value) > maxBodyBytes || len(b.metaData) >= maxMetaData:
			return tooLarge("the meta-data of build %d is too large", b.number)
		}
	}
	maps.Copy(b.metaData, values)
	b.resolveCommit()
	return nil
}

// MetaData returns all meta-data of a build; uuid is the build's or a job's.
func (s *Store) MetaData(uuid string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.scoped(uuid)
	if err != nil {
		return nil, err
	}
	return merge(b.metaData), nil
}
