package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

const (
	idleTimeout   = 4 * time.Hour
	createTimeout = 30 * time.Second
)

// programs are the commands that exec may run.
var programs = map[string]bool{
	"sh": true, "cat": true, "tar": true, "echo": true, "md5sum": true, "sleep": true, "test": true, "ls": true, "stty": true, "wc": true, "true": true,
}

type handler struct{ commands bool }

func newHandler(commands bool) http.Handler {
	h := &handler{commands: commands}
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", h.exec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", h.attach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", h.portForward)
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", h.logs)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	return mux
}

func (h *handler) exec(w http.ResponseWriter, r *http.Request) {
	opts, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, h, r.PathValue("pod"), "", r.PathValue("container"), r.URL.Query()["command"], opts,
		idleTimeout, createTimeout, remotecommand.SupportedStreamingProtocols)
}

func (h *handler) attach(w http.ResponseWriter, r *http.Request) {
	opts, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, r, h, r.PathValue("pod"), "", r.PathValue("container"), opts,
		idleTimeout, createTimeout, remotecommand.SupportedStreamingProtocols)
}

func (h *handler) portForward(w http.ResponseWriter, r *http.Request) {
	opts, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, h, r.PathValue("pod"), "", opts, idleTimeout, createTimeout, portforward.SupportedProtocols)
}

// logs writes a line, and with follow one more each 100 ms.
func (h *handler) logs(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello from %s\n", r.PathValue("pod"))
	flusher, ok := w.(http.Flusher)
	if r.URL.Query().Get("follow") != "true" || !ok {
		return
	}
	for i := 1; ; i++ {
		flusher.Flush()
		select {
		case <-r.Context().Done():
			log.Printf("log of %s no longer followed", r.PathValue("pod"))
			return
		case <-time.After(100 * time.Millisecond):
			fmt.Fprintf(w, "line %d\n", i)
		}
	}
}

// ExecInContainer runs a program on this host.
func (h *handler) ExecInContainer(ctx context.Context, _, _, _ string, cmd []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if !h.commands {
		return errors.New("the pods of this demo run nothing")
	}
	if len(cmd) == 0 || !programs[cmd[0]] {
		return fmt.Errorf("program %q is not on the list", cmd)
	}
	c := exec.CommandContext(ctx, cmd[0], cmd[1:]...)
	if tty {
		return withTTY(c, in, out, resize)
	}
	c.Stdout, c.Stderr = out, errOut
	if in != nil {
		stdin, err := c.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(stdin, in)
			_ = stdin.Close()
		}()
	}
	return exitError(c.Run())
}

func withTTY(c *exec.Cmd, in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) error {
	terminal, err := pty.Start(c)
	if err != nil {
		return err
	}
	defer terminal.Close()
	go func() {
		for size := range resize {
			_ = pty.Setsize(terminal, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if in != nil {
		go func() { _, _ = io.Copy(terminal, in) }()
	}
	_, _ = io.Copy(out, terminal) // ends with an error when the program does
	return exitError(c.Wait())
}

func exitError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &utilexec.ExitErrorWrapper{ExitError: exit}
	}
	return err
}

// AttachContainer is an echo with a greeting.
func (h *handler) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	return h.ExecInContainer(ctx, "", "", "", []string{"sh", "-c", "echo attached; cat"}, in, out, errOut, tty, resize, 0)
}

// PortForward connects to a port of this host's loopback.
func (h *handler) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	if !h.commands {
		return errors.New("the pods of this demo run nothing")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, stream)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, err = io.Copy(stream, conn)
	if err != nil && strings.Contains(err.Error(), "closed") {
		return nil
	}
	return err
}
