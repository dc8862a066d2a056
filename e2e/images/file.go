package images

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

// file is one entry of a layer.
type file struct {
	name      string // without a leading slash
	mode      int64
	directory bool
	link      string // target of a symbolic link
	hardLink  string // name of an earlier entry
	uid, gid  int
	content   []byte
	source    string // where the content is read from instead
}

// epoch is the time of every file and image, so that what is in an image alone
// decides its digest.
var epoch = time.Unix(0, 0).UTC()

// write adds the file to an archive.
func (f file) write(archive *tar.Writer) error {
	header := &tar.Header{Name: f.name, Mode: f.mode, Uid: f.uid, Gid: f.gid, ModTime: epoch, Format: tar.FormatPAX}
	switch {
	case f.directory:
		header.Typeflag, header.Name = tar.TypeDir, f.name+"/"
	case f.link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
	case f.hardLink != "":
		header.Typeflag, header.Linkname = tar.TypeLink, f.hardLink
	case f.source != "":
		return f.copySource(archive, header)
	default:
		header.Typeflag, header.Size = tar.TypeReg, int64(len(f.content))
	}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("archive %s: %w", f.name, err)
	}
	if _, err := archive.Write(f.content); err != nil {
		return fmt.Errorf("archive %s: %w", f.name, err)
	}
	return nil
}

func (f file) copySource(archive *tar.Writer, header *tar.Header) error {
	source, err := os.Open(f.source)
	if err != nil {
		return fmt.Errorf("archive %s: %w", f.name, err)
	}
	defer func() { _ = source.Close() }()
	info, err := source.Stat()
	if err != nil {
		return fmt.Errorf("archive %s: %w", f.name, err)
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("archive %s: %w", f.name, err)
	}
	if _, err := io.Copy(archive, source); err != nil {
		return fmt.Errorf("archive %s: %w", f.name, err)
	}
	return nil
}

// digest identifies the entry by all that write takes from it.
func (f file) digest() (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %o %t %q %q %d %d %q\n", f.name, f.mode, f.directory, f.link, f.hardLink, f.uid, f.gid, f.content)
	if f.source != "" {
		source, err := os.Open(f.source)
		if err != nil {
			return "", fmt.Errorf("hash %s: %w", f.name, err)
		}
		defer func() { _ = source.Close() }()
		if _, err := io.Copy(hash, source); err != nil {
			return "", fmt.Errorf("hash %s: %w", f.name, err)
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}
