//go:build linux

package ssh

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"strings"
)

// tidyKey repairs what is lost or gained on a key's way into a variable: spaces
// around its lines, which come of indented YAML, and lines around the key.
func tidyKey(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}

	return strings.Join(lines, "\n") + "\n"
}

// What to do, at the end of a sentence.
const (
	convert     = "convert it with `ssh-keygen -p -N '' -f FILE` and store it anew."
	storeAnew   = "store the file anew, for example with kubectl create secret generic NAME --from-file=VARIABLE=FILE."
	noPassword  = "nobody is there to type its passphrase; remove it with `ssh-keygen -p -N '' -f FILE`, or make a key without one, and store that."
	armour      = "-----BEGIN "
	opensshType = "OPENSSH PRIVATE KEY"
)

// examine says what is wrong with a private key, if OpenSSH cannot use it, and
// else what may be. Both go on after the variable's name. Which forms OpenSSH
// takes was tried with 9.2 and OpenSSL 3.0.
func examine(contents string) (problem, note string) {
	if !strings.HasPrefix(contents, armour) {
		return examineForeign(contents), ""
	}
	header, _, _ := strings.Cut(contents, "\n")
	kind, rest, closed := strings.Cut(strings.TrimPrefix(header, armour), "-----")
	switch {
	case strings.HasPrefix(rest, `\n`):
		return `has the two characters \n where its lines end; ` + storeAnew, ""
	case closed && rest != "":
		return "is all on one line, its line breaks were lost; quote it where it is stored, or " + storeAnew, ""
	case strings.HasSuffix(kind, "PUBLIC KEY"):
		return publicKey, ""
	case kind == "ENCRYPTED PRIVATE KEY":
		return "has a passphrase, and " + noPassword, ""
	case kind == "CERTIFICATE":
		return "is a certificate; store the private key's own file.", ""
	case !strings.HasSuffix(kind, "PRIVATE KEY"):
		// What else is there may be part of the key.
		return "is not a private key that OpenSSH reads: it does not begin with -----BEGIN OPENSSH PRIVATE KEY-----; " + storeAnew, ""
	}

	block, _ := pem.Decode([]byte(contents))
	switch {
	case block == nil:
		return "is damaged or cut off: it begins as a key and does not end as one; " + storeAnew, ""
	case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return "has a passphrase, and " + noPassword, ""
	case kind == opensshType:
		return examineOpenSSH(block.Bytes), ""
	case kind == "PRIVATE KEY":
		return examinePKCS8(block.Bytes)
	default:
		return "", ""
	}
}

const publicKey = "is a public key; store the private one, the file without .pub."

// examineForeign says what a text that does not begin as a key is.
func examineForeign(contents string) string {
	decoded, err := decode(contents)
	switch {
	case err == nil && strings.HasPrefix(decoded, armour):
		return "is base64; give it in the variable of the same name with " + base64Suffix + " at its end, or store the file as it is."
	case strings.HasPrefix(contents, "PuTTY-User-Key-File"):
		return "is in PuTTY's format, which OpenSSH does not read; export it from PuTTYgen as an OpenSSH key, or convert it with `puttygen FILE -O private-openssh-new -o id`."
	case strings.HasPrefix(contents, "ssh-"), strings.HasPrefix(contents, "ecdsa-"), strings.HasPrefix(contents, "sk-"),
		strings.HasPrefix(contents, "---- BEGIN SSH2 PUBLIC KEY"):
		return publicKey
	default:
		return "is not a private key that OpenSSH reads: it does not begin with -----BEGIN OPENSSH PRIVATE KEY-----; " + storeAnew
	}
}

// examineOpenSSH looks for a passphrase. The form is described in PROTOCOL.key of
// OpenSSH's sources: a magic word, then the cipher's name.
func examineOpenSSH(body []byte) string {
	const damaged = "is damaged; " + storeAnew
	rest, found := bytes.CutPrefix(body, []byte("openssh-key-v1\x00"))
	const size = 4 // of the length before the name
	if !found || len(rest) < size {
		return damaged
	}
	length := int64(binary.BigEndian.Uint32(rest))
	if rest = rest[size:]; length > int64(len(rest)) {
		return damaged
	}
	if string(rest[:length]) != "none" {
		return "has a passphrase, and " + noPassword
	}

	return ""
}

// ed25519Identifier is the key type's object identifier, 1.3.101.112, in DER.
var ed25519Identifier = []byte{0x06, 0x03, 0x2b, 0x65, 0x70}

// examinePKCS8 judges the general form. It depends on how OpenSSH was built: with
// OpenSSL it takes RSA and ECDSA keys, and Ed25519 keys only since 9.6.
func examinePKCS8(body []byte) (problem, note string) {
	head := body[:min(len(body), 16)]
	if bytes.Contains(head, ed25519Identifier) {
		return "is an Ed25519 key in PKCS#8 form (BEGIN PRIVATE KEY), which OpenSSH reads only since 9.6; " +
			"make one with `ssh-keygen -t ed25519 -N '' -f id` (BEGIN OPENSSH PRIVATE KEY).", ""
	}

	return "", "is in PKCS#8 form (BEGIN PRIVATE KEY), which not every OpenSSH reads; should ssh refuse it, " + convert
}
