package images

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// newLayer returns a layer of what write archives. It can be read once, into the
// layout, where its digest then is; a root file system is never held in memory.
func newLayer(write func(archive *tar.Writer) error) v1.Layer {
	reader, writer := io.Pipe()
	go func() {
		archive := tar.NewWriter(writer)
		// A reader that went away has its own error.
		_ = writer.CloseWithError(errors.Join(write(archive), archive.Close()))
	}()
	return stream.NewLayer(reader, stream.WithCompressionLevel(gzip.BestSpeed), stream.WithMediaType(types.OCILayer))
}

// layerOf returns a layer of the files.
func layerOf(files []file) v1.Layer {
	return newLayer(func(archive *tar.Writer) error {
		for _, f := range files {
			if err := f.write(archive); err != nil {
				return err
			}
		}
		return nil
	})
}
