package browser

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPastes is how often the user may paste a text that is not the address.
const maxPastes = 10

// pasteTarget describes the sign-in that a pasted address must belong to.
type pasteTarget struct {
	state, redirect string
	results         chan<- callbackResult
}

// readPastedAddress reads the address of the redirect from the terminal, for a browser on
// another computer, which can't reach the loopback address of this one. It reads nothing if
// the input is not a terminal: then the input is not meant for the plugin.
func readPastedAddress(ctx context.Context, cfg Config, target pasteTarget) {
	file, ok := cfg.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return
	}
	fmt.Fprintln(cfg.Out, "If the browser is on another computer, it ends at a page that it can't open.\nThen paste the address of that page here.")
	go readLines(ctx, cfg, file, target)
}

func readLines(ctx context.Context, cfg Config, from io.Reader, target pasteTarget) {
	lines := bufio.NewScanner(from)
	wrong := 0
	for wrong < maxPastes && lines.Scan() && ctx.Err() == nil {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		result, err := parseAddress(text, cfg.Server.Base(), target.state)
		if err == nil {
			deliver(target.results, result)
			return
		}
		wrong++
		fmt.Fprintf(cfg.Out, "That is not the address of the page: %v.\nPaste the address that begins with %s\n", err, target.redirect)
	}
	if wrong == maxPastes {
		deliver(target.results, callbackResult{err: fmt.Errorf("none of %d pasted texts was the address of the page", maxPastes)})
	}
}

func parseAddress(text, issuer, state string) (callbackResult, error) {
	u, err := url.Parse(text)
	if err != nil {
		return callbackResult{}, errors.New("it is not a URL")
	}
	if u.Query().Get("code") == "" && u.Query().Get("error") == "" {
		return callbackResult{}, errors.New("it has no code")
	}
	return parseCallback(u.Query(), issuer, state)
}
