package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Limits of a question about history. A line of the answer is one event.
const (
	questionMost  = 4 << 10
	lineMost      = 64 << 10
	historiesMost = 4
	historyWithin = 5 * time.Minute  // for the whole answer
	historyPause  = 30 * time.Second // between two pieces of it
)

// An answer's lines are JSON objects; then comes one of these, the error with its text behind it.
const (
	historyEnd   = "END"
	historyError = "ERROR "
)

// tellHistory answers one question.
func (n *Node) tellHistory(ctx context.Context, conn net.Conn) {
	defer n.asked.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, historyWithin)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	out := bufio.NewWriterSize(deadlined{conn}, 64<<10)
	err := errors.New("the node answers too many questions about its history already")
	if n.asked.Add(1) <= historiesMost {
		var question []byte
		if question, err = readQuestion(conn); err == nil {
			err = n.opts.History(ctx, question, func(line []byte) error {
				_, err := out.Write(append(bytes.TrimSuffix(line, []byte("\n")), '\n'))
				return err
			})
		}
	}
	last := historyEnd
	if err != nil {
		last = historyError + err.Error()
	}
	fmt.Fprintln(out, last) //nolint:errcheck // the caller misses it, and knows
	out.Flush()             //nolint:errcheck // as above
}

func readQuestion(conn net.Conn) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(historyPause)); err != nil {
		return nil, err
	}
	sc := bufio.NewScanner(conn)
	sc.Buffer(nil, questionMost)
	if !sc.Scan() {
		return nil, errors.New("there is no question")
	}
	return sc.Bytes(), nil
}

// deadlined is a connection each of whose writes has its time.
type deadlined struct{ net.Conn }

func (d deadlined) Write(b []byte) (int, error) {
	if err := d.SetWriteDeadline(time.Now().Add(historyPause)); err != nil {
		return 0, err
	}
	return d.Conn.Write(b)
}

// History asks a node about its history, and calls take with each line of the answer. An answer that breaks off is an error.
func (c *Caller) History(ctx context.Context, m Member, question []byte, take func(line []byte) error) error {
	conn, _, err := dial(ctx, c.tls, m, pathHistory)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := (deadlined{conn}).Write(append(question, '\n')); err != nil {
		return err
	}
	sc := bufio.NewScanner(conn)
	sc.Buffer(nil, lineMost)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(historyWithin)); err != nil {
			return err
		}
		if !sc.Scan() {
			return errors.Join(fmt.Errorf("node %s: its answer breaks off", m.Name), sc.Err(), ctx.Err())
		}
		line := sc.Bytes()
		if string(line) == historyEnd {
			return nil
		}
		if text, ok := bytes.CutPrefix(line, []byte(historyError)); ok {
			return fmt.Errorf("node %s: %s", m.Name, text)
		}
		if err := take(line); err != nil {
			return err
		}
	}
}
