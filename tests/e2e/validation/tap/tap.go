// SPDX-License-Identifier: Apache-2.0

// Package tap writes the Test Anything Protocol, in the few calls that the runtime-tools validation programs use. The library
// that they name is in no Debian package, so tests/e2e/test_oci_validation.py puts this one at its import path.
package tap

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// T is one stream of results.
type T struct {
	Writer io.Writer // where lines go: standard output
	count  *int
	todo   bool
}

// New starts a stream on standard output.
func New() *T {
	return &T{Writer: os.Stdout, count: new(int)}
}

// Header announces the version and, when n is known, the plan.
func (t *T) Header(n int) {
	fmt.Fprintln(t.Writer, "TAP version 13")
	if n > 0 {
		fmt.Fprintf(t.Writer, "1..%d\n", n)
	}
}

// Ok writes one result.
func (t *T) Ok(good bool, text string) {
	*t.count++
	word, mark := "ok", ""
	if !good {
		word = "not ok"
	}
	if t.todo {
		mark = " # TODO"
	}
	fmt.Fprintf(t.Writer, "%s %d - %s%s\n", word, *t.count, strings.ReplaceAll(text, "\n", " "), mark)
}

// Pass is a result that is good.
func (t *T) Pass(text string) { t.Ok(true, text) }

// Fail is a result that is not.
func (t *T) Fail(text string) { t.Ok(false, text) }

// Skip writes n results that were not tried.
func (t *T) Skip(n int, why string) {
	for i := 0; i < n; i++ {
		*t.count++
		fmt.Fprintf(t.Writer, "ok %d # SKIP %s\n", *t.count, why)
	}
}

// Todo gives the same stream, on which results may still be bad.
func (t *T) Todo() *T {
	return &T{Writer: t.Writer, count: t.count, todo: true}
}

// AutoPlan writes the plan at the end.
func (t *T) AutoPlan() { fmt.Fprintf(t.Writer, "1..%d\n", *t.count) }

// Diagnostic writes a remark.
func (t *T) Diagnostic(text string) {
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintln(t.Writer, "#", line)
	}
}

// Diagnosticf writes a remark by format.
func (t *T) Diagnosticf(format string, args ...interface{}) { t.Diagnostic(fmt.Sprintf(format, args...)) }

// YAML writes the details of the last result (as JSON, which is YAML too).
func (t *T) YAML(details interface{}) error {
	text, err := json.MarshalIndent(details, "  ", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(t.Writer, "  ---\n  %s\n  ...\n", text)
	return nil
}
