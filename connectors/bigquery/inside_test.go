package bigquery

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// TestCodec compares with what the usual codec makes of an answer, whatever stands
// before the batch in it, and wants the batch where its arrays can be used.
func TestCodec(t *testing.T) {
	t.Parallel()
	for extra := range 20 {
		want := &storagepb.ReadRowsResponse{
			RowCount:      300,
			ThrottleState: &storagepb.ThrottleState{ThrottlePercent: int32(extra)},
			Stats:         &storagepb.StreamStats{Progress: &storagepb.StreamStats_Progress{AtResponseStart: float64(extra), AtResponseEnd: 1}},
			Schema:        &storagepb.ReadRowsResponse_ArrowSchema{ArrowSchema: &storagepb.ArrowSchema{SerializedSchema: make([]byte, extra)}},
			Rows: &storagepb.ReadRowsResponse_ArrowRecordBatch{ArrowRecordBatch: &storagepb.ArrowRecordBatch{
				SerializedRecordBatch: bytes.Repeat([]byte{byte(extra), 1, 2, 3}, 100),
			}},
		}
		wire, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		// In two frames, as the network cuts them.
		frames := mem.BufferSlice{mem.SliceBuffer(wire[:len(wire)/3]), mem.SliceBuffer(wire[len(wire)/3:])}
		var got storagepb.ReadRowsResponse
		if err := newCodec(make(chunkMemory, 1)).Unmarshal(frames, &got); err != nil {
			t.Fatal(err)
		}
		batch := got.GetArrowRecordBatch().GetSerializedRecordBatch()
		if got.GetRowCount() != 300 || !bytes.Equal(batch, want.GetArrowRecordBatch().GetSerializedRecordBatch()) {
			t.Errorf("extra %d: got %d rows, %d bytes", extra, got.GetRowCount(), len(batch))
		}
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(batch))); at%8 != 0 {
			t.Errorf("extra %d: the batch lies %d bytes beside a multiple of 8", extra, at%8)
		}
		for cut := range wire {
			short := mem.BufferSlice{mem.SliceBuffer(wire[:cut])}
			if err := newCodec(make(chunkMemory, 1)).Unmarshal(short, &got); err != nil && !errors.Is(err, errMalformed) {
				t.Errorf("cut at %d: %v", cut, err)
			}
		}
	}
	var other storagepb.ReadSession
	wire, err := proto.Marshal(&storagepb.ReadSession{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := newCodec(make(chunkMemory, 1)).Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire)}, &other); err != nil || other.GetName() != "s" {
		t.Errorf("another message: %v, %v", &other, err)
	}
}

func TestIsOrdered(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{
		"SELECT `a`\nFROM `t`\nORDER BY `a`":                                               true,
		"SELECT `a`\nFROM `t`\nWHERE `a` >= @p1\nORDER BY `a`\nLIMIT 5":                    true,
		"SELECT `a`\nFROM (\nSELECT * FROM t -- it's\nORDER BY a\n) AS q\nORDER BY `a`":    true,
		"SELECT `a`\nFROM (\nSELECT * FROM t -- it's\nORDER BY a\n) AS q\nWHERE `b` > @p1": false,
		"SELECT `a`\nFROM `t`": false,
	} {
		if got := isOrdered(sql); got != want {
			t.Errorf("isOrdered(%s) = %t, want %t", sql, got, want)
		}
	}
}

func TestParseInterval(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]int64{
		"1-2 3 4:5:6.7":  {14, 3, 14706_700_000_000},
		"-0-3 0 0:0:0":   {-3, 0, 0},
		"0-0 -1 -0:30:0": {0, -1, -1800_000_000_000},
	} {
		i, err := parseInterval(text)
		if got := [3]int64{int64(i.Months), int64(i.Days), i.Nanoseconds}; err != nil || got != want {
			t.Errorf("parseInterval(%s) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1 2 3", "1-2 3", "a-b c d:e:f", "1-2 3 4:5"} {
		if _, err := parseInterval(text); err == nil {
			t.Errorf("parseInterval(%q) gives no error", text)
		}
	}
}

// TestTokens classifies what Google's libraries say when no token can be had.
func TestTokens(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		said        string
		impersonate string
		credentials string
		text, hint  string
	}{
		{"impersonate: status code 403: Permission 'iam.serviceAccounts.getAccessToken' denied", "sa@p.iam.gserviceaccount.com", "", "to act as sa@p", "roles/iam.serviceAccountTokenCreator on sa@p"},
		{`oauth2: "invalid_grant" "Invalid JWT Signature."`, "", "{}", "are refused", "clock of this machine"},
		{"credentials: could not find default credentials.", "", "", "no credentials for bigquery", "gcloud auth application-default login"},
	} {
		d := &Driver{options: Options{Impersonate: test.impersonate, Credentials: test.credentials}}
		err := d.failure(t.Context(), fmt.Errorf("Post \"https://x\": %w", errors.New(test.said)))
		var e *warehouse.Error
		if !errors.As(err, &e) || e.Class != warehouse.ClassCredentials || !strings.Contains(e.Error(), test.text) || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%s = %v, %+v, want …%s…, hint …%s…", test.said, err, e, test.text, test.hint)
		}
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{{}, {1, 2, 3}, {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 100, 0, 0, 0, 1}, bytes.Repeat([]byte{0xff}, 64)} {
		if _, err := decodeSchema(data); err == nil {
			t.Errorf("decodeSchema(%x) gives no error", data)
		}
	}
}
