package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Source: SPDX 2.3, https://spdx.github.io/spdx-spec/v2.3/
const (
	spdxVersion  = "SPDX-2.3"
	spdxMedia    = types.MediaType("text/spdx+json")
	noAssertion  = "NOASSERTION"
	documentID   = "SPDXRef-DOCUMENT"
	imageID      = "SPDXRef-Image"
	contains     = "CONTAINS"
	dependsOn    = "DEPENDS_ON"
	describes    = "DESCRIBES"
	variantOf    = "VARIANT_OF"
	purlCategory = "PACKAGE-MANAGER"
)

// document is what an image is made of: the fields of SPDX that are needed to say
// so, and those that it requires.
type document struct {
	ID            string         `json:"SPDXID"` //nolint:tagliatelle // SPDX has it so
	Version       string         `json:"spdxVersion"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	License       string         `json:"dataLicense"`
	Creation      creation       `json:"creationInfo"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID            string      `json:"SPDXID"` //nolint:tagliatelle // SPDX has it so
	Name          string      `json:"name"`
	Version       string      `json:"versionInfo,omitempty"`
	Location      string      `json:"downloadLocation"`
	FilesAnalyzed bool        `json:"filesAnalyzed"`
	References    []reference `json:"externalRefs"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// newDocument begins the document of an image, or of an index of images.
func newDocument(digest v1.Hash) *document {
	// The same image has the same document, hence no time.
	d := &document{
		ID: documentID, Version: spdxVersion, License: "CC0-1.0", Name: "entrypoint@" + digest.String(),
		Namespace: "https://github.com/buildkite/agent-stack-k8s/spdx/" + digest.Hex,
		Creation:  creation{Created: "1970-01-01T00:00:00Z", Creators: []string{"Tool: entrypoint-image"}},
	}
	d.add(imageID, "entrypoint", digest.String(), "pkg:oci/entrypoint@"+digest.String())
	d.relate(documentID, describes, imageID)
	return d
}

func (d *document) add(id, title, version, purl string) {
	d.Packages = append(d.Packages, spdxPackage{
		ID: id, Name: title, Version: version, Location: noAssertion,
		References: []reference{{Category: purlCategory, Type: "purl", Locator: purl}},
	})
}

func (d *document) relate(element, kind, related string) {
	d.Relationships = append(d.Relationships, relationship{Element: element, Type: kind, Related: related})
}

// ofProgram describes an image that holds one program: the modules that are linked
// into it, and the Go release that has built it.
func ofProgram(digest v1.Hash, version string, program []byte) (*document, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("read what the program was built from: %w", err)
	}
	d := newDocument(digest)
	const main = "SPDXRef-Main"
	d.add(main, info.Main.Path, version, "pkg:golang/"+info.Main.Path+"@"+version)
	d.relate(imageID, contains, main)
	const library = "SPDXRef-Go"
	d.add(library, "stdlib", info.GoVersion, "pkg:golang/stdlib@"+info.GoVersion)
	d.relate(main, dependsOn, library)
	for i, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		id := fmt.Sprintf("SPDXRef-Module-%d", i)
		d.add(id, module.Path, module.Version, "pkg:golang/"+module.Path+"@"+module.Version)
		d.relate(main, dependsOn, id)
	}
	return d, nil
}

// ofIndex describes an index by its images.
func ofIndex(digest v1.Hash, images []v1.Hash) *document {
	d := newDocument(digest)
	for i, image := range images {
		id := fmt.Sprintf("SPDXRef-Image-%d", i)
		d.add(id, "entrypoint", image.String(), "pkg:oci/entrypoint@"+image.String())
		d.relate(id, variantOf, imageID)
	}
	return d
}

// push writes the document where ko puts those of its images, and cosign looks for
// them: beside what it describes, under a tag made of the digest.
func (d *document) push(ctx context.Context, repository name.Repository, digest v1.Hash) error {
	content, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("write the bill of materials: %w", err)
	}
	image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		static.NewLayer(content, spdxMedia))
	if err != nil {
		return fmt.Errorf("make the bill of materials: %w", err)
	}
	tag := repository.Tag(digest.Algorithm + "-" + digest.Hex + ".sbom")
	if err := remote.Write(tag, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push %s: %w", tag, err)
	}
	return nil
}
