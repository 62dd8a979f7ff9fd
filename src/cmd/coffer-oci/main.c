/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-oci: the OCI runtime, in the place of runc or crun. */
#include "oci/oci.h"

int main(int argc, char **argv)
{
	return oci_main(argc, argv);
}
