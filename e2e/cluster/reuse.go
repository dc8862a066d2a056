package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// state is what is remembered of a complete start.
type state struct {
	Bin         string `json:"bin"`
	Fingerprint string `json:"fingerprint"`
}

// coreDaemons run in every cluster.
var coreDaemons = []string{registryDaemon, etcdDaemon, containerdDaemon, apiServerDaemon, controllerManagerDaemon, schedulerDaemon, kubeletDaemon, proxyDaemon}

func readState() (state, error) {
	var remembered state
	content, err := os.ReadFile(stateFile)
	if err != nil {
		return state{}, errors.New("no complete start is on record")
	}
	if err := json.Unmarshal(content, &remembered); err != nil {
		return state{}, fmt.Errorf("read %s: %w", stateFile, err)
	}
	return remembered, nil
}

// remember records that the start is complete.
func (s *starter) remember() error {
	fingerprint, err := s.fingerprint()
	if err != nil {
		return err
	}
	content, err := json.Marshal(state{Bin: s.options.Bin, Fingerprint: fingerprint})
	if err != nil {
		return fmt.Errorf("encode the cluster's state: %w", err)
	}
	return writeFile(stateFile, string(content)+"\n")
}

// reusable returns nil if a cluster runs that a fresh start would not differ from,
// else why not.
func (s *starter) reusable(ctx context.Context) error {
	remembered, err := readState()
	if err != nil {
		return err
	}
	if err := healthySoon(ctx); err != nil {
		return err
	}
	if missing := missingPackages(); len(missing) > 0 {
		return fmt.Errorf("the package %s is gone", missing[0])
	}
	if err := s.configure(); err != nil {
		return err
	}
	fingerprint, err := s.fingerprint()
	if err != nil {
		return err
	}
	if fingerprint != remembered.Fingerprint {
		return errors.New("it runs from other programs or with another configuration")
	}
	return nil
}

// healthy is nil if all programs run and the node is ready.
func healthy(ctx context.Context) error {
	if err := alive(); err != nil {
		return err
	}
	client, err := administrator()
	if err != nil {
		return err
	}
	return errors.Join(pingRegistry(ctx), pingContainerd(ctx), client.usable(ctx))
}

func alive() error {
	for _, name := range coreDaemons {
		if livePid(name) == 0 {
			return fmt.Errorf("%s does not run", name)
		}
	}
	return nil
}

// healthySoon is healthy with patience for a machine under load: starting over
// would end what is running there.
func healthySoon(ctx context.Context) error {
	if err := alive(); err != nil {
		return err
	}
	const patience = 20 * time.Second
	return wait(ctx, patience, "the running cluster", nil, healthy)
}

// fingerprint identifies the programs and their configuration, wherever the
// programs lie.
func (s *starter) fingerprint() (string, error) {
	sum := sha256.New()
	for _, name := range []string{"kubernetes", "containerd", "containerd-shim-runc-v2"} {
		id, err := buildID(s.program(name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %x\n", name, id)
	}
	commandLines := arguments()
	for _, name := range slices.Sorted(maps.Keys(commandLines)) {
		fmt.Fprintf(sum, "%s %q\n", name, commandLines[name])
	}
	files := s.files()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(sum, "%s %q\n", path, files[path])
	}
	fmt.Fprintln(sum, firewallRules)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// buildID returns what the Go linker wrote into a program to tell it from others.
func buildID(path string) ([]byte, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identify %s: %w", path, err)
	}
	defer file.Close()
	section := file.Section(".note.go.buildid")
	if section == nil {
		return nil, fmt.Errorf("identify %s: it has no Go build ID", path)
	}
	content, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("identify %s: %w", path, err)
	}
	return bytes.TrimRight(content, "\x00"), nil
}
