package build

import (
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"
)

// tags leave out what containerd would need C libraries or kernel modules for.
// They mean nothing to the other programs.
const tags = "no_btrfs,no_zfs,no_devmapper"

// environment is set for every Go command. Static programs run in any image, and
// one value for all is what lets them share the build cache. A GOFLAGS of the
// user's could change what is built without changing its key.
var environment = []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false"}

// releaseFlags returns the linker flags of the programs from released modules:
// without them they report a development version, and whatever asks a server
// for its version decides wrongly. goMod is the text of the e2e module's go.mod,
// which says which releases they are.
func releaseFlags(goMod []byte) (string, error) {
	file, err := modfile.Parse("go.mod", goMod, nil)
	if err != nil {
		return "", fmt.Errorf("read e2e/go.mod: %w", err)
	}
	versions := map[string]string{}
	for _, require := range file.Require {
		versions[require.Mod.Path] = require.Mod.Version
	}
	kubernetes := versions["k8s.io/kubernetes"]
	numbers := strings.SplitN(strings.TrimPrefix(kubernetes, "v"), ".", 3)
	if len(numbers) != 3 {
		return "", fmt.Errorf("read e2e/go.mod: no usable version of k8s.io/kubernetes: %q", kubernetes)
	}
	flags := []string{"-s", "-w"}
	stamp := func(pack, variable, value string) {
		flags = append(flags, fmt.Sprintf("-X %s.%s=%s", pack, variable, value))
	}
	for _, pack := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		stamp(pack, "gitVersion", kubernetes)
		stamp(pack, "gitMajor", numbers[0])
		stamp(pack, "gitMinor", numbers[1])
		stamp(pack, "gitCommit", "")
		stamp(pack, "gitTreeState", "clean")
	}
	const containerd, certManager = "github.com/containerd/containerd/v2", "github.com/cert-manager/cert-manager"
	stamp(containerd+"/version", "Version", strings.TrimPrefix(versions[containerd], "v"))
	stamp(certManager+"/pkg/util", "AppVersion", versions[certManager])
	return strings.Join(flags, " "), nil
}

// plainFlags are the linker flags of the programs that only run here: no version,
// so that a commit does not build them anew.
const plainFlags = "-s -w"

// productFlags returns the linker flags of the product's programs.
func productFlags(version string) string { return plainFlags + " -X main.version=" + version }
