package apiserver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// bin is the directory of the built programs, manifests that of the checkout's.
var (
	bin       = os.Getenv("E2E_BIN")
	manifests = filepath.Join("..", "..", "manifests")
)

func TestMain(m *testing.M) {
	if bin == "" {
		fmt.Fprintln(os.Stderr, "E2E_BIN is not set; run `make test`, which builds the programs and sets it")
		os.Exit(1)
	}
	os.Exit(m.Run())
}
