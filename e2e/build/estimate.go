package build

import (
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/progress"
)

// The steps of a build.
const (
	fetchStep   = "fetch modules"
	compileStep = "compile"
)

// fetchTime is for all modules of the cluster and the agent on a common line.
const fetchTime = 40 * time.Second

// Seconds of one core: the mean over Kubernetes' packages, and what linking a
// program of 100 MB takes beside a small one.
const (
	secondsPerPackage   = 0.32
	secondsPerBigLink   = 30
	secondsPerSmallLink = 4
)

// packagesOf is how many packages the large groups have that those before them in
// Groups do not.
var packagesOf = map[Group]int{Cluster: 3100, Agent: 1500, CertManager: 700, Tools: 900, Product: 100, Harness: 150}

// Steps returns what Build will do, with estimates, for a list of steps that is
// printed before anything begins; nothing when all is built.
func (b *Builder) Steps() []progress.Step {
	missing := b.store.missing(b.chosen, b.keys)
	if len(missing) == 0 {
		return nil
	}
	packages := 0
	groups := map[Group]bool{}
	for _, p := range missing {
		if !groups[p.group] {
			groups[p.group] = true
			packages += packagesOf[p.group]
		}
	}
	cached := cachedPackages(b.tool.Cache)
	fetch := fetchTime
	if cached >= packages {
		fetch = 3 * time.Second
	}
	return []progress.Step{{Name: fetchStep, Estimate: fetch}, {Name: compileStep, Estimate: estimate(max(0, packages-cached), missing)}}
}

// cachedPackages guesses how many packages Go's build cache holds from one of its
// 256 directories, where a package has two files. The plan counts properly.
func cachedPackages(directory string) int {
	entries, err := os.ReadDir(filepath.Join(directory, "00"))
	if err != nil {
		return 0
	}
	return len(entries) * 256 / 2
}

// estimate says how long so many packages and the programs' links will take.
func estimate(packages int, programs []program) time.Duration {
	seconds := float64(packages) * secondsPerPackage
	for _, p := range programs {
		switch p.name {
		case "kubernetes", "cert-manager", "buildkite-agent":
			seconds += secondsPerBigLink
		default:
			seconds += secondsPerSmallLink
		}
	}
	// Neither the first packages nor the last link have much beside them.
	cores := min(float64(runtime.NumCPU()), 8)
	return time.Duration(seconds / cores * float64(time.Second)).Round(time.Second)
}

// space is the room that compiling so many packages takes, in bytes: build cache,
// work directory and results.
func space(packages int) int64 { return 1_000_000_000 + int64(packages)*2_500_000 }

// Silence is the Progress that says nothing.
var Silence Progress = silence{}

type silence struct{}

func (silence) Start(string, time.Duration) {}
func (silence) Note(string)                 {}
func (silence) Done()                       {}
func (silence) Fail(error)                  {}
