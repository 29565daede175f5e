package app

import (
	"os"
	"regexp"
	"strings"
)

// terminationLog is where Kubernetes reads why a container ended.
const terminationLog = "/dev/termination-log"

// maxTermination bounds the message; Kubernetes keeps 4096 bytes.
const maxTermination = 2048

// tellTermination leaves the error where the platform that started the program
// looks for it. A file that cannot be written changes nothing: the error is on
// standard error too.
func tellTermination(failure error) {
	leaveTermination(withoutSecrets(lastLine(failure.Error()), os.Environ()))
}

// leaveTermination writes one line.
func leaveTermination(line string) {
	path, create := os.Getenv("COMMERCE_TERMINATION_LOG"), os.O_CREATE
	if path == "" {
		path, create = terminationLog, 0 // it is there, or nobody reads it
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|create, 0o644) //nolint:gosec // the message is for others to read
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	_, _ = file.WriteString(line + "\n")
}

// lastLine is the end of an error that has several lines.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if at := strings.LastIndexByte(text, '\n'); at >= 0 {
		text = text[at+1:]
	}
	if len(text) > maxTermination {
		text = strings.ToValidUTF8(text[:maxTermination], "")
	}
	return text
}

var (
	urlPassword   = regexp.MustCompile(`(://[^/@\s:]*:)[^/@\s]+@`)
	secretsOfEnv  = regexp.MustCompile(`(PASSWORD|SECRETS?|_KEY|_TOKEN)$`)
	shortestGuard = 6 // a shorter value hides more of the message than it protects
)

// withoutSecrets is a second fence: no error of ours holds a secret, and one of
// a library that does loses it here.
func withoutSecrets(text string, environ []string) string {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if secretsOfEnv.MatchString(name) && len(value) >= shortestGuard {
			text = strings.ReplaceAll(text, value, "…")
		}
	}
	return urlPassword.ReplaceAllString(text, "${1}…@")
}
