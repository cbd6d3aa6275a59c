package browser

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPastes is how often somebody may paste something else than the address.
const maxPastes = 10

// pasted reads the address that a browser on another computer ended at, when that could not
// reach this one. Only a terminal is read: what else comes in is not for us.
func pasted(ctx context.Context, cfg Config, state string, done chan<- outcome) {
	file, ok := cfg.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return
	}
	fmt.Fprintln(cfg.Out, "Is the browser on another computer? When it says that it can't reach 127.0.0.1, copy the address of that page and paste it here.")
	go read(ctx, cfg, file, state, done)
}

func read(ctx context.Context, cfg Config, from io.Reader, state string, done chan<- outcome) {
	lines := bufio.NewScanner(from)
	for wrong := 0; wrong < maxPastes && lines.Scan() && ctx.Err() == nil; {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err == nil && u.Query().Get("code") == "" && u.Query().Get("error") == "" {
			err = fmt.Errorf("it has no code")
		}
		if err == nil {
			var o outcome
			if o, err = answered(u.Query(), cfg.Server.Base(), state); err == nil {
				offer(done, o)
				return
			}
		}
		wrong++
		fmt.Fprintf(cfg.Out, "That is not the address of the page (%v). It begins with http://127.0.0.1:\n", err)
	}
	if lines.Err() == nil && ctx.Err() == nil {
		offer(done, outcome{err: fmt.Errorf("%d times something else than the address was pasted; start again", maxPastes)})
	}
}
