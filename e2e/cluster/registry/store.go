package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// store is the registry's directory: blobs under blobs/, and one file under
// manifests/ for every reference that something was pushed to.
type store struct{ directory string }

// manifest is one pushed manifest, as it is stored.
type manifest struct {
	Repository  string `json:"repository"`
	Reference   string `json:"reference"` // a tag or a digest
	ContentType string `json:"contentType"`
	Content     string `json:"content"`

	used time.Time
	path string
}

func (s store) blobs() string     { return filepath.Join(s.directory, "blobs") }
func (s store) manifests() string { return filepath.Join(s.directory, "manifests") }

// file names are hashes: repositories nest, and digests hold a colon.
func (s store) file(repository, reference string) string {
	sum := sha256.Sum256([]byte(repository + "\n" + reference))
	return filepath.Join(s.manifests(), hex.EncodeToString(sum[:16])+".json")
}

func (s store) save(m manifest) error {
	content, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	temporary, err := os.CreateTemp(s.manifests(), "tmp-")
	if err != nil {
		return fmt.Errorf("save manifest: %w", err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(content)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return fmt.Errorf("save manifest: %w", err)
	}
	if err := os.Rename(temporary.Name(), s.file(m.Repository, m.Reference)); err != nil {
		return fmt.Errorf("save manifest: %w", err)
	}
	return nil
}

func (s store) remove(repository, reference string) error {
	if err := os.Remove(s.file(repository, reference)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove manifest: %w", err)
	}
	return nil
}

// touch notes the use of a reference. Not knowing it, it does nothing.
func (s store) touch(repository, reference string) {
	now := time.Now()
	_ = os.Chtimes(s.file(repository, reference), now, now)
}

// load returns the stored manifests, images before the indexes that name them. A
// file that cannot be read is removed: its image is pushed again.
func (s store) load() ([]manifest, error) {
	entries, err := os.ReadDir(s.manifests())
	if err != nil {
		return nil, fmt.Errorf("read the registry's directory: %w", err)
	}
	var loaded []manifest
	for _, entry := range entries {
		m := manifest{path: filepath.Join(s.manifests(), entry.Name())}
		content, err := os.ReadFile(m.path)
		info, infoErr := entry.Info()
		if err != nil || infoErr != nil || json.Unmarshal(content, &m) != nil {
			if err := os.Remove(m.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("remove an unreadable manifest: %w", err)
			}
			continue
		}
		m.used = info.ModTime()
		loaded = append(loaded, m)
	}
	slices.SortFunc(loaded, func(a, b manifest) int {
		return cmp.Or(cmp.Compare(a.depth(), b.depth()), b.used.Compare(a.used))
	})
	return loaded, nil
}

func (m manifest) depth() int {
	if types.MediaType(m.ContentType).IsIndex() {
		return 1
	}
	return 0
}

func (m manifest) isTag() bool { return !strings.Contains(m.Reference, ":") }

func (m manifest) digest() string {
	sum := sha256.Sum256([]byte(m.Content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// references returns the digests of what the manifest names.
func (m manifest) references() []string {
	var digests []string
	if m.depth() > 0 {
		if index, err := v1.ParseIndexManifest(strings.NewReader(m.Content)); err == nil {
			for _, child := range index.Manifests {
				digests = append(digests, child.Digest.String())
			}
		}
		return digests
	}
	image, err := v1.ParseManifest(strings.NewReader(m.Content))
	if err != nil {
		return nil
	}
	digests = append(digests, image.Config.Digest.String())
	for _, layer := range image.Layers {
		digests = append(digests, layer.Digest.String())
	}
	return digests
}
