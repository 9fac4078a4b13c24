/* Status codes of an emitted GPU object, beyond those of ObjectStatus in c_header.h. C99 and C++. */
#ifndef NETC_OBJECT_STATUS_H
#define NETC_OBJECT_STATUS_H

enum {
    NETC_OK = 0,
    NETC_E_WEIGHTS = 1,
    NETC_E_ALIGN = 2,
    NETC_E_BATCH = 3,
    NETC_E_INDEX = 5,
    NETC_E_EPOCH = 7,
    NETC_E_DRIVER = -1,
    NETC_E_OLD_DRIVER = -2,
    NETC_E_DEVICE = -3,
    NETC_E_MEMORY = -4,
    NETC_E_CODE = -5,
    NETC_E_LOST = -6,
    NETC_E_GPU = -7,
    NETC_E_ARGUMENT = -8
};

#endif
