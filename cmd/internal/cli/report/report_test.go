package report

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt"
)

// JSON has the fields of a status report by the names in the tags of its rows, and in their order.
func TestStatusNames(t *testing.T) {
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[mgmt.StatusClient](), reflect.TypeFor[Client]()}, {reflect.TypeFor[mgmt.StatusRoute](), reflect.TypeFor[Route]()},
	} {
		var names [2][]string
		for i, typ := range pair {
			for _, f := range reflect.VisibleFields(typ) {
				names[i] = append(names[i], f.Tag.Get("json"))
			}
		}
		if diff := cmp.Diff(names[0], names[1]); diff != "" {
			t.Errorf("%s (-row +JSON):\n%s", pair[1].Name(), diff)
		}
	}
}
