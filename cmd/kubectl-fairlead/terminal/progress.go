package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// progressDelay is how long an operation runs before its progress is shown.
	progressDelay = 400 * time.Millisecond
	frameInterval = 120 * time.Millisecond
)

// Progress shows a message with a spinner while an operation runs. It is removed when the
// operation has ended. Without a terminal, or with NO_COLOR, it shows nothing.
type Progress struct {
	out  *Output
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	text  string
	shown bool
}

// Progress starts to show a message. The caller must call Stop.
func (o *Output) Progress(text string) *Progress {
	p := &Progress{out: o, text: text, stop: make(chan struct{}), done: make(chan struct{})}
	if !o.fancy {
		close(p.done)
		return p
	}
	go p.run()
	return p
}

func (p *Progress) run() {
	defer close(p.done)
	timer := time.NewTimer(progressDelay)
	defer timer.Stop()
	frames := []rune(`-\|/`)
	for i := 0; ; i++ {
		select {
		case <-p.stop:
			p.Around(func() { p.shown = false })
			return
		case <-timer.C:
		}
		p.mu.Lock()
		p.draw(frames[i%len(frames)])
		p.mu.Unlock()
		timer.Reset(frameInterval)
	}
}

func (p *Progress) draw(frame rune) {
	text := string(frame) + " " + p.text
	if p.out.width > 0 {
		text = shorten(text, p.out.width-1)
	}
	fmt.Fprint(p.out, clearLine+text)
	p.shown = true
}

// Update changes the message.
func (p *Progress) Update(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

// Around removes the message while write runs, so that other output gets lines of its own.
func (p *Progress) Around(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, clearLine)
		p.shown = false
	}
	write()
}

// Stop removes the message.
func (p *Progress) Stop() {
	close(p.stop)
	<-p.done
}

// Messages returns the output for messages to a waiting user: o itself if it is a terminal,
// and nothing otherwise.
func (o *Output) Messages() io.Writer {
	if IsTerminal(o.Writer) {
		return o
	}
	return io.Discard
}
